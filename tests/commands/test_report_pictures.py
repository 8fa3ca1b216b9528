from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from sanderling.commands.report_pictures import Album
from sanderling.datasets.dataset import Dataset
from sanderling.evaluation.evaluate import evaluate
from sanderling.evaluation.flat import flatten
from sanderling.pictures import decode
from sanderling.reporting.page import Picture, PictureGrid, Section
from sanderling.reporting.snapshots import FOUND
from sanderling.structures.detections import Detections
from tests.support.scored import found_of, split_of
from tests.support.small_sets import put_picture

OBJECT, ELSEWHERE = (100.0, 100.0, 220.0, 200.0), (400.0, 250.0, 500.0, 350.0)


def with_files(dataset: Dataset, folder: Path, *, name: str = "picture") -> Dataset:
    paths = [str(put_picture(folder / f"{name}{index}.jpg", index, (480, 640))) for index in range(len(dataset))]
    return dataclasses.replace(dataset, picture_paths=np.array(paths, np.str_))


def album_of(dataset: Dataset, detections: list[Detections], threshold: float = 0.5) -> tuple[Album, list[Section]]:
    album = Album(dataset, detections, evaluate(dataset, detections, threshold=threshold))
    return album, album.sections(flatten(dataset, detections), threshold=threshold)


def shown(section: Section) -> list[Picture]:
    return [picture for block in section.blocks if isinstance(block, PictureGrid) for picture in block.pictures]


def orange(picture: Picture) -> int:
    """Pixels in the colour of detections."""
    return int((np.abs(decode(picture.data).astype(int) - FOUND).max(axis=2) < 40).sum())


def test_examples_misses_and_false_alarms(tmp_path: Path) -> None:
    dataset = with_files(split_of([[(0, OBJECT)], [(1, OBJECT)], []]), tmp_path)
    detections = [
        found_of([(0, 0.9, OBJECT), (1, 0.7, ELSEWHERE)]),
        found_of([(1, 0.3, OBJECT)]),
        found_of([]),
    ]
    _, sections = album_of(dataset, detections)
    examples, misses, alarms = (shown(section) for section in sections)
    assert [section.title for section in sections] == ["Examples", "Worst misses", "Worst false alarms"]
    assert [picture.caption for picture in examples] == [
        "1 labelled, 2 found\npicture0.jpg",
        "1 labelled, 0 found\npicture1.jpg",
    ]
    assert [picture.caption for picture in misses] == [
        "smoke, 120 x 100 px, best score 0.30 (threshold 0.50)\npicture1.jpg"
    ]
    assert [picture.caption for picture in alarms] == ["smoke, 100 x 100 px, score 0.70 (threshold 0.50)\npicture0.jpg"]
    assert orange(examples[0]) > 500
    assert orange(alarms[0]) > 500
    assert orange(examples[1]) == orange(misses[0]) == 0


def test_a_miss_shows_what_was_found_in_its_place(tmp_path: Path) -> None:
    dataset = with_files(split_of([[(0, OBJECT)]]), tmp_path)
    _, sections = album_of(dataset, [found_of([(1, 0.9, OBJECT)])])
    assert orange(shown(sections[1])[0]) > 100


def test_at_most_so_many_of_each(tmp_path: Path) -> None:
    boxes = [(20.0 * at, 10.0, 20.0 * at + 15, 30.0) for at in range(30)]
    dataset = with_files(split_of([[(0, box) for box in boxes]] * 14), tmp_path)
    detections = [found_of([(1, 0.9, box) for box in boxes]) for _ in range(14)]
    _, sections = album_of(dataset, detections)
    assert [len(shown(section)) for section in sections] == [9, 12, 12]


def test_a_picture_that_cannot_be_read_is_noted_once_and_left_out(tmp_path: Path) -> None:
    dataset = with_files(split_of([[(0, OBJECT), (1, ELSEWHERE)]]), tmp_path)
    path = Path(str(dataset.picture_paths[0]))
    path.write_bytes(b"no picture")
    album, sections = album_of(dataset, [found_of([(0, 0.9, ELSEWHERE)])])
    assert [shown(section) for section in sections] == [[], [], []]
    assert list(album.unreadable) == [str(path)]
    assert "not a picture" in album.unreadable[str(path)]


def test_classes_of_the_detector_in_another_order_and_more_of_them(tmp_path: Path) -> None:
    dataset = with_files(split_of([[(0, OBJECT)]]), tmp_path)
    names = ("crane", "smoke", "fire")
    found = found_of([(2, 0.9, OBJECT), (0, 0.8, ELSEWHERE)], names)
    _, sections = album_of(dataset, [found])
    assert shown(sections[0])[0].caption.startswith("1 labelled, 1 found")
    assert shown(sections[1]) == shown(sections[2]) == []


def test_without_any_object_pictures_are_shown_all_the_same(tmp_path: Path) -> None:
    dataset = with_files(split_of([[], []]), tmp_path, name="a" * 60)
    _, sections = album_of(dataset, [found_of([]), found_of([])])
    captions = [picture.caption for picture in shown(sections[0])]
    assert len(captions) == 2
    assert all(len(caption) < 70 and "…" in caption for caption in captions)
