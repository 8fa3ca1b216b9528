from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.datasets.check import check
from sanderling.datasets.locate import open_dataset, splits
from sanderling.errors import DataError, UsageError
from tests.support.small_sets import clean_set, coco_document, put, put_coco, put_picture

BOX = (4.0, 6.0, 20.0, 12.0)


def test_reads_boxes_sizes_and_classes(tmp_path: Path) -> None:
    dataset = open_dataset(clean_set(tmp_path / "set", "coco"), split="train")
    assert (dataset.name, dataset.split, dataset.class_names) == ("set", "train", ("fire", "smoke"))
    assert dataset.category_ids == (1, 2)
    assert [Path(path).name for path in dataset.picture_paths] == ["a.jpg", "b.jpg", "c.jpg"]
    assert dataset.sizes_hw.tolist() == [[48, 64]] * 3
    assert dataset.first_box.tolist() == [0, 2, 3, 4]
    assert dataset.boxes_xyxy[1].tolist() == [30.5, 10.25, 52.0, 40.25]
    assert dataset.labels.tolist() == [0, 1, 1, 0]
    sample = dataset.read(1)
    assert sample.image.shape == (48, 64, 3)
    assert sample.boxes_xyxy.tolist() == [[0, 0, 64, 48]]
    assert sample.picture_id == 2


def test_category_ids_with_gaps_map_to_labels_and_back(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "val" / "a.jpg", 1)
    document = coco_document({"a.jpg": [(90, BOX), (7, BOX)]}, names={90: "toothbrush", 7: "train"})
    dataset = open_dataset(put_coco(tmp_path, "val", document))
    assert dataset.class_names == ("train", "toothbrush")
    assert dataset.category_ids == (7, 90)
    assert dataset.labels.tolist() == [1, 0]


def test_crowd_and_stated_area_are_kept(tmp_path: Path) -> None:
    document = coco_document({"a.jpg": [(1, BOX), (1, BOX)]})
    document["annotations"][0] |= {"iscrowd": 1, "area": 17.5}
    del document["annotations"][1]["area"]
    dataset = open_dataset(put_coco(tmp_path, "val", document))
    assert dataset.crowd.tolist() == [True, False]
    assert dataset.areas.tolist() == [17.5, 240.0]


def test_picture_ids_may_be_text(tmp_path: Path) -> None:
    document = coco_document({"a.jpg": [(1, BOX)]})
    document["images"][0]["id"] = document["annotations"][0]["image_id"] = "north/7"
    assert open_dataset(put_coco(tmp_path, "val", document)).picture_id(0) == "north/7"


def test_annotations_may_come_in_any_order(tmp_path: Path) -> None:
    document = coco_document({"a.jpg": [(1, BOX)], "b.jpg": [(2, (0, 0, 1, 1)), (1, (2, 2, 3, 3))], "c.jpg": []})
    document["annotations"].reverse()
    dataset = open_dataset(put_coco(tmp_path, "val", document))
    assert dataset.boxes_xyxy[dataset.boxes_of(0)].tolist() == [[4, 6, 24, 18]]
    assert dataset.boxes_xyxy[dataset.boxes_of(1)].tolist() == [[2, 2, 5, 5], [0, 0, 1, 1]]
    assert dataset.boxes_of(2) == slice(3, 3)


@pytest.mark.parametrize(
    "place",
    [
        ("annotations/instances_train.json", "images/train/a.jpg"),
        ("annotations/instances_train.json", "train/a.jpg"),
        ("annotations/train.json", "images/a.jpg"),
        ("train/_annotations.coco.json", "train/a.jpg"),
        ("train.json", "a.jpg"),
        ("train.json", "images/train/a.jpg"),
        ("labels/train.json", "images/train/a.jpg"),
    ],
)
def test_pictures_are_found_in_the_usual_places(tmp_path: Path, place: tuple[str, str]) -> None:
    put_picture(tmp_path / place[1], 1)
    file = put(tmp_path / place[0], json.dumps(coco_document({"a.jpg": [(1, BOX)]})))
    dataset = open_dataset(file)
    assert dataset.split == "train"
    assert len(dataset.read(0).labels) == 1


def test_roboflow_layout_calls_valid_val(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        put_picture(tmp_path / split / "a.jpg", 1)
        put(tmp_path / split / "_annotations.coco.json", json.dumps(coco_document({"a.jpg": [(1, BOX)]})))
    assert sorted(splits(tmp_path)) == ["test", "train", "val"]
    assert open_dataset(tmp_path, split="valid").split == "val"


def test_val_means_val2017_where_it_is_the_only_one(tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        put_coco(tmp_path, split, coco_document({"a.jpg": [(1, BOX)]}))
    assert open_dataset(tmp_path).split == "val2017"
    with pytest.raises(UsageError, match="there are: train2017, val2017"):
        open_dataset(tmp_path, split="test")


def test_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    text = json.dumps(coco_document({"a.jpg": [(1, BOX)]})).encode()
    dataset = open_dataset(put(tmp_path / "annotations" / "instances_val.json", b"\xef\xbb\xbf" + text))
    assert len(dataset.labels) == 1
    assert dataset.skipped == ()


@pytest.mark.parametrize(
    "text",
    [
        '{"images": [',
        '{"images": [], "annotations": ' + "[" * 100_000 + "]" * 100_000 + ', "categories": []}',
        '{"images": {}, "annotations": [], "categories": []}',
        '{"images": [], "annotations": []}',
        '{"images": [], "annotations": [], "categories": [], "x": "\xff"}',
    ],
    ids=["cut off", "deep", "no list", "no categories", "not UTF-8"],
)
def test_broken_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    file = put(tmp_path / "annotations" / "instances_val.json", text.encode("latin-1"))
    with pytest.raises(DataError, match=r"instances_val\.json: .*(JSON|COCO)"):
        open_dataset(file)


@pytest.mark.parametrize(
    ("key", "entry"),
    [
        ("annotations", 5),
        ("annotations", None),
        ("annotations", {"id": 9, "category_id": 1, "bbox": [1, 2, 3, 4]}),
        ("annotations", {"id": 9, "image_id": [1], "category_id": 1, "bbox": [1, 2, 3, 4]}),
        ("annotations", {"id": 9, "image_id": 1, "category_id": {}, "bbox": [1, 2, 3, 4]}),
        ("annotations", {"id": 9, "image_id": 1, "category_id": 1}),
        ("annotations", {"id": 9, "image_id": 1, "category_id": 1, "bbox": None}),
        ("annotations", {"id": 9, "image_id": 1, "category_id": 1, "bbox": ["1", "2", "3", "4"]}),
        ("annotations", {"id": 9, "image_id": 1, "category_id": 1, "bbox": [1, 2, None, 4]}),
        ("annotations", {"id": 9, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, [4]]}),
        ("annotations", {"id": 9, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 10**400]}),
        ("annotations", {"id": 9, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4, 5]}),
        ("annotations", {"id": 9, "image_id": 1, "category_id": "fire", "bbox": [1, 2, 3, 4]}),
        ("images", {"file_name": "b.jpg"}),
        ("images", {"id": 8}),
        ("images", "b.jpg"),
        ("images", {"id": 8, "file_name": 3}),
        ("images", {"id": 8, "file_name": "/etc/passwd"}),
        ("images", {"id": 8, "file_name": "half \ud800.jpg"}),
        ("images", {"id": 8, "file_name": "..\\..\\..\\x.jpg"}),
        ("images", {"id": 8, "file_name": "a\0.jpg"}),
        ("categories", {"id": "one", "name": "x"}),
        ("categories", {"id": 1, "name": "again"}),
        ("categories", {"name": "x"}),
    ],
)
def test_one_bad_entry_costs_only_itself(tmp_path: Path, key: str, entry: Any) -> None:
    put_picture(tmp_path / "images" / "val" / "a.jpg", 1)
    document = coco_document({"a.jpg": [(1, BOX)]})
    document[key].append(entry)
    dataset = open_dataset(put_coco(tmp_path, "val", document))
    assert (len(dataset), len(dataset.labels), dataset.class_names) == (1, 1, ("fire", "smoke"))
    assert [finding.severity for finding in dataset.skipped] == ["error"] * len(dataset.skipped)
    assert len(dataset.skipped) == (0 if entry == {"id": 1, "name": "again"} else 1)


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 1e400])
def test_extreme_numbers_do_not_break_the_reader(tmp_path: Path, number: float) -> None:
    document = coco_document({"a.jpg": [(1, BOX)]})
    document["images"][0] |= {"width": number, "height": number}
    document["annotations"][0] |= {"area": number, "category_id": number}
    dataset = open_dataset(put_coco(tmp_path, "val", document))
    assert [finding.rule for finding in dataset.skipped] == ["class-out-of-range"]
    assert dataset.sizes_hw.tolist() == [[0, 0]]


def test_empty_lists_are_an_empty_split(tmp_path: Path) -> None:
    dataset = open_dataset(put_coco(tmp_path, "val", {"images": [], "annotations": [], "categories": []}))
    assert len(dataset) == 0
    assert dataset.boxes_xyxy.shape == (0, 4)


def test_pictures_that_do_not_exist_do_not_hinder_reading(tmp_path: Path) -> None:
    document = coco_document({f"{number}.jpg": [(1, BOX)] for number in range(2000)})
    file = put_coco(tmp_path, "val", document)
    open_dataset(file)
    begin = time.process_time()
    dataset = open_dataset(file)
    assert time.process_time() - begin < 1.0
    assert len(dataset) == 2000
    assert np.array_equal(dataset.boxes_xyxy, np.tile([4.0, 6.0, 24.0, 18.0], (2000, 1)))


def test_names_and_ids_that_no_file_system_or_array_can_hold(tmp_path: Path) -> None:
    document = coco_document({"x" * 5000 + ".jpg": [(1, BOX)], "b.jpg": [(1, BOX)]})
    document["images"][1]["id"] = document["annotations"][1]["image_id"] = 10**30
    put_coco(tmp_path, "val", document)
    dataset = open_dataset(tmp_path)
    assert dataset.picture_ids.tolist() == ["1", str(10**30)]
    assert check(tmp_path).rules == {"picture-missing": 1, "picture-unreadable": 1}
