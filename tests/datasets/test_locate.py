from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sanderling.datasets.labels import DataFormat
from sanderling.datasets.locate import locate, open_all, open_dataset, splits
from sanderling.errors import DataError, UsageError
from tests.support.small_sets import clean_set, put


@pytest.mark.parametrize(
    ("present", "taken"),
    [(("voc", "yolo", "coco"), "coco"), (("voc", "yolo"), "yolo"), (("voc",), "voc"), (("voc", "coco"), "coco")],
)
def test_coco_before_yolo_before_voc_and_it_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, present: tuple[str, ...], taken: str
) -> None:
    for data_format in present:
        clean_set(tmp_path, data_format)
    with caplog.at_level(logging.INFO):
        assert locate(tmp_path).data_format == taken
    assert (f"reading {taken}" in caplog.text) == (len(present) > 1)


def test_the_format_can_be_named(tmp_path: Path) -> None:
    formats: tuple[DataFormat, ...] = ("coco", "yolo", "voc")
    for data_format in formats:
        clean_set(tmp_path, data_format)
    for data_format in formats:
        assert locate(tmp_path, data_format=data_format).data_format == data_format
        assert len(open_dataset(tmp_path, split="val", data_format=data_format).labels) == 2


def test_a_named_format_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a VOC data set"):
        locate(clean_set(tmp_path, "yolo"), data_format="voc")


def test_a_folder_that_holds_one_data_set(tmp_path: Path) -> None:
    clean_set(tmp_path / "inner", "yolo")
    assert locate(tmp_path).root == tmp_path / "inner"
    assert splits(tmp_path) == ["train", "val"]


def test_a_folder_that_holds_several_names_them(tmp_path: Path) -> None:
    clean_set(tmp_path / "one", "yolo")
    clean_set(tmp_path / "two", "coco")
    with pytest.raises(DataError, match=r"several data sets \(one, two\)"):
        locate(tmp_path)


def test_val_is_taken_by_default_and_splits_are_named(tmp_path: Path) -> None:
    clean_set(tmp_path, "coco")
    assert open_dataset(tmp_path).split == "val"
    with pytest.raises(UsageError, match="has no split 'test'; there are: train, val"):
        open_dataset(tmp_path, split="test")


def test_no_such_path(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        locate(tmp_path / "nowhere")


def test_a_file_that_is_no_data_set(tmp_path: Path) -> None:
    for name, text in (("notes.txt", "hello"), ("results.json", '[{"image_id": 1}]'), ("run.yaml", "epochs: 3\n")):
        with pytest.raises(DataError, match="is not a COCO, YOLO or VOC data set"):
            locate(put(tmp_path / name, text))


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean_set(tmp_path / "set", "coco")
    monkeypatch.chdir(tmp_path)
    assert Path(open_dataset(Path("set")).picture_paths[0]).is_absolute()


@pytest.mark.parametrize("data_format", ["coco", "yolo", "voc"])
def test_all_splits_at_once_are_those_one_by_one(tmp_path: Path, data_format: DataFormat) -> None:
    clean_set(tmp_path, data_format)
    every = open_all(tmp_path)
    assert [dataset.split for dataset in every] == splits(tmp_path) == ["train", "val"]
    for dataset in every:
        alone = open_dataset(tmp_path, split=dataset.split)
        assert dataset.picture_paths.tolist() == alone.picture_paths.tolist()
        assert dataset.boxes_xyxy.tolist() == alone.boxes_xyxy.tolist()


def test_a_data_set_without_a_split_that_exists(tmp_path: Path) -> None:
    put(tmp_path / "data.yaml", "train: images/train\nnames: [fire]\n")
    with pytest.raises(DataError, match="no split that can be read"):
        open_all(tmp_path)
