from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.datasets.dataset import Dataset
from sanderling.datasets.locate import open_dataset
from sanderling.evaluation.detect import detect_all
from sanderling.structures.artefact import PictureRule
from sanderling.structures.detections import Detections
from tests.support.scored import found_of
from tests.support.small_sets import coco_document, put, put_coco, put_picture

SIZE_HW = (150, 214)


class WholePicture:
    """Finds one object in every picture: all of it; notes what it was given."""

    class_names = ("fire", "smoke")

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []
        self.batches: list[int] = []

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.batches.append(len(pictures))
        self.seen += [picture.shape for picture in pictures]
        return [found_of([(0, 0.5, (0, 0, picture.shape[1], picture.shape[0]))]) for picture in pictures]


def pictures(folder: Path, count: int, *, broken: Sequence[int] = ()) -> Dataset:
    names = [f"{number:02}.jpg" for number in range(count)]
    height, width = SIZE_HW
    for number, name in enumerate(names):
        path = folder / "images" / "val" / name
        if number in broken:
            put(path, b"no picture")
        else:
            # Sizes differ, so that a mix-up of pictures shows.
            put_picture(path, number, (height, width + number))
    document = coco_document({name: [] for name in names}, size_hw=SIZE_HW)
    for number, image in enumerate(document["images"]):
        image["width"] += number
    put_coco(folder, "val", document)
    return open_dataset(folder, split="val")


def test_every_picture_gets_its_own_detections_in_order(tmp_path: Path) -> None:
    dataset = pictures(tmp_path, 37)
    detector = WholePicture()
    calls: list[tuple[int, int]] = []
    split = detect_all(detector, dataset, progress=lambda done, total: calls.append((done, total)))
    assert [found.boxes_xyxy[0].tolist() for found in split.detections] == [[0, 0, 214 + n, 150] for n in range(37)]
    assert [found.size_hw for found in split.detections] == [(150, 214 + n) for n in range(37)]
    assert [found.source for found in split.detections] == dataset.picture_paths.tolist()
    assert detector.batches == [8, 8, 8, 8, 5]
    assert calls == [(8, 37), (16, 37), (24, 37), (32, 37), (37, 37)]
    assert split.unreadable == {}
    assert split.seconds > 0


def test_unreadable_pictures_are_named_and_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = pictures(tmp_path, 12, broken=[0, 9])
    with caplog.at_level(logging.WARNING):
        split = detect_all(WholePicture(), dataset)
    assert [len(found) for found in split.detections] == [0, *[1] * 8, 0, 1, 1]
    assert list(split.unreadable) == [dataset.picture_paths[0], dataset.picture_paths[9]]
    assert all("restore it or remove it" in reason for reason in split.unreadable.values())
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert split.detections[10].boxes_xyxy[0].tolist() == [0, 0, 224, 150]


def test_a_whole_batch_may_be_unreadable(tmp_path: Path) -> None:
    split = detect_all(WholePicture(), pictures(tmp_path, 10, broken=range(8)))
    assert [len(found) for found in split.detections] == [0] * 8 + [1] * 2


def test_no_pictures_are_no_detections(tmp_path: Path) -> None:
    split = detect_all(WholePicture(), pictures(tmp_path, 1).subset([]))
    assert split.detections == []


@pytest.mark.parametrize(
    ("rule", "decoded_hw"),
    [
        # 150 x 214 becomes 34 x 48 in the input: a quarter, 38 x 54, is enough.
        (PictureRule(size_hw=(48, 48), resize="letterbox"), (38, 54)),
        (PictureRule(size_hw=(48, 48), resize="stretch"), (75, 107)),
        (PictureRule(size_hw=(160, 160), resize="stretch"), (150, 214)),
    ],
)
def test_fast_decoding_gives_boxes_in_pixels_of_the_original(
    tmp_path: Path, rule: PictureRule, decoded_hw: tuple[int, int]
) -> None:
    detector = WholePicture()
    split = detect_all(detector, pictures(tmp_path, 1), fast_decode_for=rule)
    assert detector.seen[0][:2] == decoded_hw
    np.testing.assert_allclose(split.detections[0].boxes_xyxy, [[0, 0, 214, 150]], rtol=1e-6)
    assert split.detections[0].size_hw == (150, 214)


def test_without_a_known_size_pictures_decode_whole(tmp_path: Path) -> None:
    import dataclasses

    dataset = pictures(tmp_path, 1)
    detector = WholePicture()
    rule = PictureRule(size_hw=(32, 32))
    split = detect_all(detector, dataclasses.replace(dataset, sizes_hw=dataset.sizes_hw * 0), fast_decode_for=rule)
    assert detector.seen == [(150, 214, 3)]
    assert split.detections[0].boxes_xyxy[0].tolist() == [0, 0, 214, 150]


def test_a_detector_that_fails_stops_the_reading_thread(tmp_path: Path) -> None:
    def broken(pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        raise RuntimeError("out of memory")

    detector = WholePicture()
    detector.__class__ = type("Broken", (WholePicture,), {"__call__": lambda self, given: broken(given)})
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="out of memory"):
        detect_all(detector, pictures(tmp_path, 30))
    assert threading.active_count() == before
