from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sanderling.datasets.check import check
from sanderling.datasets.locate import open_dataset, splits
from sanderling.errors import DataError
from tests.support.shared import shared_path
from tests.support.small_sets import clean_set, put, put_picture, voc_object, voc_text

CORNERS = (8, 12, 24, 36)


def one_picture(root: Path, text: str | bytes) -> Path:
    put_picture(root / "images" / "a.jpg", 1)
    put(root / "Annotations" / "a.xml", text)
    return root


def test_reads_corners_as_written(tmp_path: Path) -> None:
    dataset = open_dataset(clean_set(tmp_path, "voc"), split="train")
    assert dataset.boxes_xyxy.tolist() == [[4, 6, 24, 18], [30.5, 10.25, 52, 40.25], [0, 0, 64, 48], [50, 40, 64, 48]]
    assert dataset.labels.tolist() == [0, 1, 1, 0]
    assert dataset.category_ids == (1, 2)
    assert dataset.picture_ids.tolist() == ["a", "b", "c"]


def test_difficult_is_kept(tmp_path: Path) -> None:
    objects = [voc_object("fire", CORNERS, difficult=1), voc_object("fire", (1, 1, 5, 5))]
    assert open_dataset(one_picture(tmp_path, voc_text("a.jpg", objects))).difficult.tolist() == [True, False]


def test_two_files_per_picture_are_joined(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "train" / "0.1.jpg", 1)
    labels = tmp_path / "Annotations" / "train"
    put(labels / "0.1.insulator.xml", voc_text("0.1.jpg", [voc_object("insulator", CORNERS)]))
    put(labels / "0.1.defect.xml", voc_text("0.1.jpg", [voc_object("defect", (10, 14, 12, 16))]))
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 1
    assert dataset.class_names == ("defect", "insulator")
    assert dataset.labels.tolist() == [0, 1]
    assert check(tmp_path).findings == ()


def test_classes_are_the_same_in_every_split(tmp_path: Path) -> None:
    for split, name in (("train", "smoke"), ("val", "fire")):
        put_picture(tmp_path / "images" / split / f"{split}.jpg", len(split))
        put(tmp_path / "Annotations" / split / f"{split}.xml", voc_text(f"{split}.jpg", [voc_object(name, CORNERS)]))
    assert open_dataset(tmp_path, split="train").class_names == ("fire", "smoke")
    assert open_dataset(tmp_path, split="val").labels.tolist() == [0]


def test_lists_of_the_development_kit(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b", "c")):
        put_picture(tmp_path / "JPEGImages" / f"{name}.jpg", number)
        put(tmp_path / "Annotations" / f"{name}.xml", voc_text(f"{name}.jpg", [voc_object("fire", CORNERS)]))
    lists = tmp_path / "ImageSets" / "Main"
    put(lists / "train.txt", "c\na\n")
    put(lists / "val.txt", "b\n")
    put(lists / "trainval.txt", "a\nb\nc\n")
    put(lists / "fire_train.txt", "c  1\na -1\n")
    assert splits(tmp_path) == ["train", "trainval", "val"]
    assert open_dataset(tmp_path, split="train").picture_ids.tolist() == ["c", "a"]
    result = check(tmp_path)
    assert (result.splits, result.findings) == (("train", "val"), ())


def test_a_list_that_names_a_picture_twice(tmp_path: Path) -> None:
    one_picture(tmp_path, voc_text("a.jpg", [voc_object("fire", CORNERS)]))
    put(tmp_path / "ImageSets" / "Main" / "train.txt", "a\na\n")
    assert check(tmp_path).rules == {"duplicate-picture-id": 1}


def test_xml_beside_pictures_in_a_folder_per_split(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        put_picture(tmp_path / split / "a.jpg", len(split))
        put(tmp_path / split / "a.xml", voc_text("a.jpg", [voc_object("fire", CORNERS)]))
    assert splits(tmp_path) == ["train", "val"]


def test_xml_beside_pictures_in_one_folder(tmp_path: Path) -> None:
    put_picture(tmp_path / "a.jpg", 1)
    put(tmp_path / "a.xml", voc_text("other.jpg", [voc_object("fire", CORNERS)]))
    assert np.array_equal(open_dataset(tmp_path).boxes_xyxy, [CORNERS])


def test_size_that_is_not_stated_is_read_from_the_picture(tmp_path: Path) -> None:
    text = voc_text("a.jpg", [voc_object("fire", CORNERS)], size_hw=(0, 0))
    assert open_dataset(one_picture(tmp_path, text)).sizes_hw.tolist() == [[48, 64]]


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf" + voc_text("a.jpg", [voc_object("fire", CORNERS)]).encode(),
        voc_text("a.jpg", [voc_object("fire", CORNERS)]).replace("><", ">\r\n  <"),
        voc_text("a.jpg", [voc_object(" fire ", (" 8 ", "12.0", "24", "3.6e1"))]),
        ('<?xml version="1.0" encoding="utf-16"?>' + voc_text("a.jpg", [voc_object("fire", CORNERS)])).encode("utf-16"),
    ],
    ids=["BOM", "CRLF", "spaces", "UTF-16"],
)
def test_ways_to_write_the_same_box(tmp_path: Path, text: str | bytes) -> None:
    dataset = open_dataset(one_picture(tmp_path, text))
    assert np.array_equal(dataset.boxes_xyxy, [CORNERS])
    assert dataset.class_names == ("fire",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<annotation><object></annotation>", "mismatched"),
        ("<annotation", "unclosed|no element"),
        (
            '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><annotation><filename>&y;</filename></annotation>',
            "entit|DOCTYPE",
        ),
        (
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>',
            "entit|DOCTYPE",
        ),
        ("<kml><annotation/></kml>", "annotation"),
        ("<annotation>" + "<a>" * 50_000 + "</a>" * 50_000 + "</annotation>", ""),
    ],
    ids=["torn", "cut off", "billion laughs", "external entity", "other root", "deep"],
)
def test_xml_that_cannot_be_used_leaves_its_picture_out(tmp_path: Path, text: str, why: str) -> None:
    root = one_picture(tmp_path, text)
    put_picture(root / "images" / "b.jpg", 2)
    put(root / "Annotations" / "b.xml", voc_text("b.jpg", [voc_object("fire", CORNERS)]))
    dataset = open_dataset(root)
    if not why:
        assert len(dataset.labels) == 1
        return
    assert dataset.picture_ids.tolist() == ["b"]
    (finding,) = dataset.skipped
    assert (finding.rule, finding.file, finding.item) == ("label-unreadable", "images/a.jpg", "Annotations/a.xml")
    assert any(word in str(finding.value) for word in why.split("|")), finding.value


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ("<object><bndbox><xmin>1</xmin></bndbox></object>", "label-malformed"),
        ("<object><name>fire</name></object>", "box-malformed"),
        (
            "<object><name>fire</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax></bndbox></object>",
            "box-malformed",
        ),
        (voc_object("fire", ("a", 1, 2, 3)), "box-malformed"),
        (voc_object("fire", (20, 20, 10, 30)), "box-negative-size"),
        (voc_object("dragon", CORNERS), "class-out-of-range"),
    ],
)
def test_one_bad_object_costs_only_itself(tmp_path: Path, entry: str, rule: str) -> None:
    root = one_picture(tmp_path, voc_text("a.jpg", [entry, voc_object("fire", CORNERS)]))
    put(root / "classes.txt", "fire\nsmoke\n")
    dataset = open_dataset(root)
    assert [(finding.rule, finding.file) for finding in dataset.skipped] == [(rule, "images/a.jpg")]
    assert dataset.skipped[0].item == "Annotations/a.xml: object 1"
    assert dataset.labels.tolist() == [0]


def test_real_set_with_two_files_per_picture() -> None:
    root = shared_path("data/cplid_insulators")
    for split in ("train", "val"):
        voc, coco = (open_dataset(root, split=split, data_format=name) for name in ("voc", "coco"))
        assert (len(voc), len(voc.labels)) == (len(coco), len(coco.labels))
        key = lambda dataset: sorted(  # noqa: E731
            (Path(dataset.picture_paths[index]).stem, dataset.class_names[label], *box)
            for index in range(len(dataset))
            for label, box in zip(
                dataset.labels[dataset.boxes_of(index)].tolist(),
                dataset.boxes_xyxy[dataset.boxes_of(index)].tolist(),
                strict=True,
            )
        )
        assert key(voc) == key(coco)


def test_real_set_with_two_bad_boxes_is_survived() -> None:
    root = shared_path("data/bccd")
    sets = [open_dataset(root, split=split, data_format="voc") for split in ("train", "val")]
    assert [len(dataset) for dataset in sets] == [205, 87]
    assert sum(len(dataset.labels) for dataset in sets) == 3941
    assert [finding.rule for dataset in sets for finding in dataset.skipped] == ["box-zero-area"] * 2


def test_peculiar_bytes_of_a_list_are_noted(tmp_path: Path) -> None:
    one_picture(tmp_path, voc_text("a.jpg", [voc_object("fire", CORNERS)]))
    put(tmp_path / "ImageSets" / "Main" / "train.txt", b"\xef\xbb\xbfa\r\n")
    assert check(tmp_path).rules == {"label-bom": 1, "label-crlf": 1}


def test_a_list_of_classes_that_is_no_text_is_told(tmp_path: Path) -> None:
    root = one_picture(tmp_path, voc_text("a.jpg", [voc_object("fire", CORNERS)]))
    put(root / "labels.txt", "fumée\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"labels\.txt: cannot be read as a list: .*; write it as UTF-8 text"):
        open_dataset(root)
    (finding,) = check(root).findings
    assert (finding.file, finding.rule) == ("labels.txt", "label-unreadable")
