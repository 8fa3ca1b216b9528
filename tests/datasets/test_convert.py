from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sanderling.datasets.check import check
from sanderling.datasets.convert import convert, write
from sanderling.datasets.dataset import Dataset
from sanderling.datasets.labels import DataFormat
from sanderling.datasets.locate import open_dataset, splits
from sanderling.errors import DataError, UsageError
from tests.support.shared import shared_path
from tests.support.small_sets import clean_set, coco_document, put, put_coco, put_picture

FORMATS: tuple[DataFormat, ...] = ("coco", "yolo", "voc")


def assert_same_boxes(first: Dataset, second: Dataset, *, tolerance: float) -> None:
    assert first.class_names == second.class_names
    order = {Path(path).stem: index for index, path in enumerate(second.picture_paths.tolist())}
    assert len(first) == len(second) == len(order)
    for index, path in enumerate(first.picture_paths.tolist()):
        here, there = first.boxes_of(index), second.boxes_of(order[Path(path).stem])
        assert first.labels[here].tolist() == second.labels[there].tolist()
        assert np.allclose(first.boxes_xyxy[here], second.boxes_xyxy[there], rtol=0, atol=tolerance)


@pytest.mark.parametrize(("source", "target"), list(itertools.product(FORMATS, FORMATS)))
def test_every_format_to_every_other_keeps_every_box(tmp_path: Path, source: DataFormat, target: DataFormat) -> None:
    clean_set(tmp_path / "source", source)
    result = convert(tmp_path / "source", to=target, output=tmp_path / "target")
    assert (result.pictures, result.boxes, result.skipped) == ({"train": 3, "val": 2}, {"train": 4, "val": 2}, ())
    for split in splits(tmp_path / "source"):
        before, after = (open_dataset(tmp_path / name, split=split) for name in ("source", "target"))
        assert_same_boxes(before, after, tolerance=1e-6)
    assert check(tmp_path / "target").findings == ()
    assert check(tmp_path / "target").data_format == target


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    boxes=st.lists(
        st.tuples(st.floats(0, 62), st.floats(0, 46), st.floats(0.01, 64), st.floats(0.01, 48), st.integers(1, 2)),
        min_size=1,
        max_size=6,
    )
)
def test_round_trip_through_all_three_formats(
    tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[float, float, float, float, int]]
) -> None:
    root = tmp_path_factory.mktemp("trip")
    put_picture(root / "0" / "images" / "val" / "a.jpg", 1)
    entries = [(label, (x, y, min(w, 64 - x), min(h, 48 - y))) for x, y, w, h, label in boxes]
    document = coco_document({"a.jpg": entries})
    for annotation in document["annotations"]:
        del annotation["area"]
    put_coco(root / "0", "val", document)
    first = open_dataset(root / "0")
    for number, target in enumerate(("yolo", "voc", "coco", "voc", "yolo", "coco"), start=1):
        convert(root / str(number - 1), to=target, output=root / str(number))  # type: ignore[arg-type]
        assert_same_boxes(first, open_dataset(root / str(number)), tolerance=1e-5)


def test_coco_keeps_crowds_areas_difficult_and_ids(tmp_path: Path) -> None:
    put_picture(tmp_path / "a" / "images" / "val" / "x.jpg", 1)
    document = coco_document({"x.jpg": [(90, (1, 2, 10, 10)), (7, (3, 4, 20, 20))]}, names={7: "fire", 90: "kite"})
    document["images"][0]["id"] = document["annotations"][0]["image_id"] = document["annotations"][1]["image_id"] = 42
    document["annotations"][0] |= {"iscrowd": 1, "area": 55.5}
    document["annotations"][1]["difficult"] = 1
    put_coco(tmp_path / "a", "val", document)
    result = convert(tmp_path / "a", to="coco", output=tmp_path / "b")
    assert result.not_kept == {}
    dataset = open_dataset(tmp_path / "b")
    assert dataset.category_ids == (7, 90)
    assert dataset.crowd.tolist() == [True, False]
    assert dataset.difficult.tolist() == [False, True]
    assert dataset.areas.tolist() == [55.5, 400.0]
    assert dataset.picture_id(0) == 42


def test_what_a_format_has_no_place_for_is_counted(tmp_path: Path) -> None:
    put_picture(tmp_path / "a" / "images" / "val" / "x.jpg", 1)
    document = coco_document({"x.jpg": [(90, (1, 2, 10, 10)), (7, (3, 4, 20, 20))]}, names={7: "fire", 90: "kite"})
    document["annotations"][0] |= {"iscrowd": 1, "area": 55.5}
    document["annotations"][1]["difficult"] = 1
    put_coco(tmp_path / "a", "val", document)
    yolo = convert(tmp_path / "a", to="yolo", output=tmp_path / "yolo")
    assert yolo.not_kept == {"crowd": 1, "area": 1, "difficult": 1, "category_id": 2}
    voc = convert(tmp_path / "a", to="voc", output=tmp_path / "voc")
    assert voc.not_kept == {"crowd": 1, "area": 1, "category_id": 2}
    assert open_dataset(tmp_path / "voc").difficult.tolist() == [False, True]
    assert voc.boxes == yolo.boxes == {"val": 2}


def test_pictures_of_the_same_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    names = {"north/1.jpg": [(1, (1, 1, 5, 5))], "south/1.jpg": [(2, (2, 2, 6, 6))], "south/1.JPG": [(1, (3, 3, 7, 7))]}
    for seed, name in enumerate(names):
        put_picture(tmp_path / "a" / "images" / "val" / name, seed)
    put_coco(tmp_path / "a", "val", coco_document(names))
    for target in FORMATS:
        result = convert(tmp_path / "a", to=target, output=tmp_path / target)
        dataset = open_dataset(tmp_path / target)
        assert (result.boxes["val"], len(dataset)) == (3, 3)
        assert sorted(dataset.boxes_xyxy[:, 0].round(4).tolist()) == [1, 2, 3]


def test_a_background_stays_one(tmp_path: Path) -> None:
    put_picture(tmp_path / "a" / "images" / "val" / "x.jpg", 1)
    put_coco(tmp_path / "a", "val", coco_document({"x.jpg": []}))
    for target in FORMATS:
        assert convert(tmp_path / "a", to=target, output=tmp_path / target).pictures == {"val": 1}
        dataset = open_dataset(tmp_path / target)
        assert (len(dataset), len(dataset.labels), dataset.class_names) == (1, 0, ("fire", "smoke"))


def test_names_that_xml_must_escape(tmp_path: Path) -> None:
    put_picture(tmp_path / "a" / "images" / "val" / "fire & <smoke>.jpg", 1)
    document = coco_document({"fire & <smoke>.jpg": [(1, (1, 1, 9, 9))]}, names={1: 'a & b < "c"'})
    put_coco(tmp_path / "a", "val", document)
    convert(tmp_path / "a", to="voc", output=tmp_path / "b")
    assert open_dataset(tmp_path / "b").class_names == ('a & b < "c"',)
    assert check(tmp_path / "b").findings == ()


def test_a_missing_picture_is_reported_not_written(tmp_path: Path) -> None:
    clean_set(tmp_path / "a", "coco")
    (tmp_path / "a" / "images" / "train" / "a.jpg").unlink()
    result = convert(tmp_path / "a", to="yolo", output=tmp_path / "b")
    assert result.pictures == {"train": 2, "val": 2}
    assert [finding.rule for finding in result.skipped] == ["picture-missing"]


def test_the_source_is_not_changed(tmp_path: Path) -> None:
    source = clean_set(tmp_path / "a", "coco")
    before = {file: file.read_bytes() for file in source.rglob("*") if file.is_file()}
    convert(source, to="voc", output=tmp_path / "b")
    assert {file: file.read_bytes() for file in source.rglob("*") if file.is_file()} == before


def test_existing_output_is_refused(tmp_path: Path) -> None:
    source = clean_set(tmp_path / "a", "coco")
    put(tmp_path / "b" / "mine.txt", "mine")
    with pytest.raises(UsageError, match="exists already"):
        convert(source, to="voc", output=tmp_path / "b")
    assert [file.name for file in (tmp_path / "b").iterdir()] == ["mine.txt"]


def test_two_classes_of_one_name_have_no_place_in_voc(tmp_path: Path) -> None:
    put_picture(tmp_path / "a" / "images" / "val" / "x.jpg", 1)
    put_coco(tmp_path / "a", "val", coco_document({"x.jpg": [(1, (1, 1, 9, 9))]}, names={1: "fire", 2: "fire"}))
    with pytest.raises(DataError, match="share a name"):
        convert(tmp_path / "a", to="voc", output=tmp_path / "b")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a"]


def test_splits_of_different_classes_are_refused(tmp_path: Path) -> None:
    clean_set(tmp_path / "a", "coco")
    train, val = (open_dataset(tmp_path / "a", split=name) for name in ("train", "val"))
    val = dataclasses.replace(val, class_names=("fire", "kite"))
    with pytest.raises(DataError, match="different classes"):
        write([train, val], to="coco", output=tmp_path / "b")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bccd", "fire_smoke_cctv", "coco_val2017_subset", "cplid_insulators"])
def test_real_sets_lose_no_box(tmp_path: Path, name: str) -> None:
    source = shared_path(f"data/{name}")
    for target in FORMATS:
        convert(source, to=target, output=tmp_path / target)
        for split in splits(source):
            before, after = open_dataset(source, split=split), open_dataset(tmp_path / target, split=split)
            assert_same_boxes(before, after, tolerance=1e-5)
