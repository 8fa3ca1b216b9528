from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sanderling.datasets.check import check
from sanderling.datasets.locate import open_dataset, splits
from sanderling.errors import DataError
from tests.support.small_sets import clean_set, put, put_picture, yolo_line

BOX = (8.0, 12.0, 16.0, 24.0)
XYXY = [8.0, 12.0, 24.0, 36.0]


def one_picture(root: Path, text: str | bytes, *, yaml: str = "train: images/train\nnames: [fire, smoke]\n") -> Path:
    put(root / "data.yaml", yaml)
    put_picture(root / "images" / "train" / "a.jpg", 1)
    put(root / "labels" / "train" / "a.txt", text)
    return root


def test_reads_fractions_as_pixels(tmp_path: Path) -> None:
    dataset = open_dataset(clean_set(tmp_path, "yolo"), split="train")
    wanted: list[list[float]] = [[4, 6, 24, 18], [30.5, 10.25, 52, 40.25], [0, 0, 64, 48], [50, 40, 64, 48]]
    assert np.allclose(dataset.boxes_xyxy, wanted, rtol=0, atol=1e-9)
    assert dataset.labels.tolist() == [0, 1, 1, 0]
    assert dataset.category_ids == (0, 1)
    assert dataset.picture_id(0) == "images/train/a.jpg"


@pytest.mark.parametrize(
    "text",
    [
        yolo_line(0, BOX).replace(" ", "  "),
        "\t" + yolo_line(0, BOX).replace(" ", "\t"),
        "\n" + yolo_line(0, BOX) + "\n  \n",
        b"\xef\xbb\xbf" + yolo_line(0, BOX).encode(),
        yolo_line(0, BOX).replace("\n", "\r\n"),
        yolo_line(0, BOX).strip(),
        "0.0 0.25 0.5 0.25 0.5",
        "0 0.125 0.25 0.375 0.25 0.375 0.75 0.125 0.75 0.2 0.5",
    ],
    ids=["double spaces", "tabs", "empty lines", "BOM", "CRLF", "no line end", "float class", "polygon"],
)
def test_ways_to_write_the_same_box(tmp_path: Path, text: str | bytes) -> None:
    dataset = open_dataset(one_picture(tmp_path, text))
    assert np.allclose(dataset.boxes_xyxy, [XYXY])
    assert dataset.labels.tolist() == [0]
    assert dataset.skipped == ()


@pytest.mark.parametrize("text", ["", "\n"])
def test_empty_label_file_is_a_background(tmp_path: Path, text: str) -> None:
    root = one_picture(tmp_path, text)
    assert len(open_dataset(root)) == 1
    assert check(root).rules == {"picture-without-labels": 1}


def test_missing_label_file_is_a_background(tmp_path: Path) -> None:
    root = one_picture(tmp_path, "")
    (root / "labels" / "train" / "a.txt").unlink()
    assert check(root).rules == {"picture-without-labels": 1}


@pytest.mark.parametrize(
    "yaml",
    [
        "path: .\ntrain: images/train\nnames: [fire, smoke]\n",
        "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['fire', 'smoke']\n",
        "train: images/train\nnames:\n  0: fire\n  1: smoke\n",
        "train: [images/train]\nnames: [fire, smoke]\n",
        "train: images/train/a.jpg\nnames: [fire, smoke]\n",
        "train: list.txt\nnames: [fire, smoke]\n",
        "train: images/train\nnc: 2\n",
        "\ufefftrain: images/train\r\nnames: [fire, smoke]\r\n",
    ],
    ids=["path", "exporter", "mapping", "list", "one picture", "text list", "nc only", "BOM and CRLF"],
)
def test_variants_of_data_yaml(tmp_path: Path, yaml: str) -> None:
    one_picture(tmp_path, yolo_line(1, BOX), yaml=yaml)
    put_picture(tmp_path / "train" / "images" / "a.jpg", 1)
    put(tmp_path / "train" / "labels" / "a.txt", yolo_line(1, BOX))
    put(tmp_path / "list.txt", "./images/train/a.jpg\n\n")
    dataset = open_dataset(tmp_path, split="train")
    assert np.allclose(dataset.boxes_xyxy, [XYXY])
    assert dataset.class_names == (("class_0", "class_1") if yaml.endswith("nc: 2\n") else ("fire", "smoke"))


@pytest.mark.parametrize("key", ["val", "valid", "validation"])
def test_val_has_three_names(tmp_path: Path, key: str) -> None:
    one_picture(tmp_path, yolo_line(0, BOX), yaml=f"train: images/train\n{key}: images/train\nnames: [fire]\n")
    assert splits(tmp_path) == ["train", "val"]


def test_splits_of_other_names(tmp_path: Path) -> None:
    yaml = "train: images/train\nnight: images/night\nauthor: somebody\nnames: [fire]\n"
    one_picture(tmp_path, yolo_line(0, BOX), yaml=yaml)
    put_picture(tmp_path / "images" / "night" / "b.jpg", 2)
    assert splits(tmp_path) == ["train", "night"]


def test_other_texts_of_a_yaml_are_no_splits(tmp_path: Path) -> None:
    """Published YAML files carry scripts and addresses longer than any file name."""
    yaml = "train: images/train\nnames: [fire]\nurl: https://example.org/a.zip\ndownload: |\n" + "  import os\n" * 900
    assert splits(one_picture(tmp_path, yolo_line(0, BOX), yaml=yaml)) == ["train"]


def test_a_list_with_a_name_that_is_too_long(tmp_path: Path) -> None:
    one_picture(tmp_path, yolo_line(0, BOX), yaml="train: list.txt\nnames: [fire]\n")
    put(tmp_path / "list.txt", b"\xef\xbb\xbfimages/train/a.jpg\r\n" + b"x" * 5000 + b".jpg\r\n")
    rules = check(tmp_path).rules
    assert rules["label-bom"] == rules["label-crlf"] == 1
    assert set(rules) == {"label-bom", "label-crlf", "label-unreadable"}


def test_class_numbers_with_gaps_are_noted(tmp_path: Path) -> None:
    yaml = "train: images/train\nnames: {0: fire, 3: smoke}\n"
    assert check(one_picture(tmp_path, yolo_line(3, BOX), yaml=yaml)).rules == {"category-id-gaps": 1}


def test_labels_beside_pictures(tmp_path: Path) -> None:
    put(tmp_path / "data.yaml", "train: pictures\nnames: [fire]\n")
    put_picture(tmp_path / "pictures" / "a.jpg", 1)
    put(tmp_path / "pictures" / "a.txt", yolo_line(0, BOX))
    put(tmp_path / "pictures" / "classes.txt", "fire\n")
    put(tmp_path / "pictures" / "b.txt", yolo_line(0, BOX))
    assert np.allclose(open_dataset(tmp_path).boxes_xyxy, [XYXY])
    assert check(tmp_path).rules == {"label-without-picture": 1}


def test_names_with_gaps_keep_their_numbers(tmp_path: Path) -> None:
    yaml = "train: images/train\nnames: {3: smoke, 0: fire}\n"
    dataset = open_dataset(one_picture(tmp_path, yolo_line(3, BOX), yaml=yaml))
    assert (dataset.class_names, dataset.category_ids, dataset.labels.tolist()) == (("fire", "smoke"), (0, 3), [1])


def test_pictures_may_be_links_out_of_the_folder(tmp_path: Path) -> None:
    outside = put_picture(tmp_path / "archive" / "x.jpg", 5)
    root = one_picture(tmp_path / "set", yolo_line(0, BOX))
    (root / "images" / "train" / "linked.jpg").symlink_to(outside)
    (root / "images" / "train" / "folder").symlink_to(tmp_path / "archive")
    put(root / "labels" / "train" / "linked.txt", yolo_line(1, BOX))
    dataset = open_dataset(root)
    names = [Path(path).relative_to(root / "images/train").as_posix() for path in dataset.picture_paths.tolist()]
    assert names == ["a.jpg", "linked.jpg", "folder/x.jpg"]
    assert dataset.labels.tolist() == [0, 1]
    assert dataset.read(1).image.shape == (48, 64, 3)


def test_a_link_in_a_circle_ends(tmp_path: Path) -> None:
    root = one_picture(tmp_path, yolo_line(0, BOX))
    (root / "images" / "train" / "again").symlink_to(root / "images")
    assert len(open_dataset(root)) == 1


@pytest.mark.parametrize("written", ["../secret", "/etc", "images/../../secret"])
def test_a_split_may_not_leave_the_folder(tmp_path: Path, written: str) -> None:
    (tmp_path / "secret").mkdir()
    root = one_picture(tmp_path / "set", "", yaml=f"train: images/train\nval: {written}\nnames: [fire]\n")
    assert splits(root) == ["train"]
    assert check(root).rules == {"path-outside": 1, "picture-without-labels": 1}


def test_path_may_not_leave_the_folder(tmp_path: Path) -> None:
    root = one_picture(tmp_path / "set", yolo_line(0, BOX), yaml="path: /data\ntrain: images/train\nnames: [fire]\n")
    assert check(root).rules == {"path-outside": 1}
    assert len(open_dataset(root)) == 1


def test_wrong_count_of_classes_is_a_warning(tmp_path: Path) -> None:
    yaml = "train: images/train\nnc: 5\nnames: [fire, smoke]\n"
    assert check(one_picture(tmp_path, yolo_line(0, BOX), yaml=yaml)).rules == {"class-count-differs": 1}


@pytest.mark.parametrize(
    "yaml",
    [
        "train: images/train\nnames: 7\n",
        "train: images/train\nnames: [fire\n",
        "train: images/train\ntrain: images/val\nnames: [fire]\n",
        "train: a\nnames: {a: fire}\n",
    ],
)
def test_broken_yaml_is_one_clear_error(tmp_path: Path, yaml: str) -> None:
    with pytest.raises(DataError, match=r"data\.yaml"):
        open_dataset(one_picture(tmp_path, "", yaml=yaml))


def test_nothing_to_read_says_why(tmp_path: Path) -> None:
    put(tmp_path / "data.yaml", "train: images/train\nnames: [fire]\n")
    with pytest.raises(DataError, match="no split that can be read"):
        open_dataset(tmp_path)


def test_binary_label_file_leaves_its_picture_out(tmp_path: Path) -> None:
    root = one_picture(tmp_path, b"\xff\xfe\x00\x30")
    dataset = open_dataset(root)
    assert len(dataset) == 0
    assert [(finding.rule, finding.file) for finding in dataset.skipped] == [("label-unreadable", "labels/train/a.txt")]


def test_unreadable_picture_is_left_out_not_taken_for_background(tmp_path: Path) -> None:
    root = one_picture(tmp_path, yolo_line(0, BOX))
    put(root / "images" / "train" / "a.jpg", b"no picture")
    dataset = open_dataset(root)
    assert len(dataset) == 0
    assert [finding.rule for finding in dataset.skipped] == ["picture-unreadable"]
