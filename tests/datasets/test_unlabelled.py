from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from sanderling.data.augment import AugmentConfig
from sanderling.data.loader import TrainingLoader
from sanderling.datasets.unlabelled import hold_back, open_unlabelled
from sanderling.errors import DataError
from sanderling.structures.artefact import PictureRule
from tests.support.small_sets import coco_document, pixels, put, put_picture


def _folder(root: Path) -> Path:
    put_picture(root / "a.jpg", 0)
    put_picture(root / "deep" / "er" / "b.JPG", 1, (40, 30))
    put(root / "notes.txt", "no picture")
    return root


def _coco(root: Path, splits: dict[str, int]) -> Path:
    """Splits of so many pictures, each picture with one box."""
    for seed, (split, count) in enumerate(splits.items()):
        names = [f"{split}-{number}.jpg" for number in range(count)]
        for number, name in enumerate(names):
            put_picture(root / "images" / split / name, 100 * seed + number)
        document = coco_document({name: [(1, [5, 5, 20, 20])] for name in names}, names={1: "bird"})
        put(root / "annotations" / f"instances_{split}.json", json.dumps(document))
    return root


def _names(*paths: Path) -> list[str]:
    return [Path(path).name for path in open_unlabelled(list(paths)).picture_paths.tolist()]


def test_a_folder_gives_all_its_pictures_upright_sizes_and_no_boxes(tmp_path: Path) -> None:
    dataset = open_unlabelled([_folder(tmp_path)])
    assert [Path(path).name for path in dataset.picture_paths] == ["a.jpg", "b.JPG"]
    assert dataset.sizes_hw.tolist() == [[48, 64], [40, 30]]
    assert dataset.boxes_xyxy.shape == (0, 4)
    assert dataset.class_names == ()
    assert dataset.read(1).image.shape == (40, 30, 3)
    assert len(dataset.read(0).boxes_xyxy) == 0


def test_of_a_data_set_the_pictures_to_learn_from_are_taken(tmp_path: Path) -> None:
    root = _coco(tmp_path / "birds", {"train": 3, "val": 2})
    assert _names(root) == ["train-0.jpg", "train-1.jpg", "train-2.jpg"]
    assert _names(root / "annotations" / "instances_val.json") == ["val-0.jpg", "val-1.jpg"]
    assert _names(_coco(tmp_path / "one", {"dev": 2})) == ["dev-0.jpg", "dev-1.jpg"]


def test_of_a_folder_of_data_sets_each_is_taken(tmp_path: Path) -> None:
    _coco(tmp_path / "a", {"train": 1, "val": 1})
    yolo = tmp_path / "b"
    put_picture(yolo / "images" / "train" / "y.jpg", 7)
    put(yolo / "labels" / "train" / "y.txt", "0 0.5 0.5 0.2 0.2\n")
    put(yolo / "data.yaml", "train: images/train\nnames: [bird]\n")
    assert _names(tmp_path) == ["train-0.jpg", "y.jpg"]


def test_data_sets_are_found_at_any_depth_and_pictures_beside_them_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _coco(tmp_path / "old" / "birds", {"train": 2, "val": 3, "test": 1})
    _folder(tmp_path / "old" / "sky")
    put_picture(tmp_path / "c.jpg", 2)
    put(tmp_path / "unread" / "data.yaml", "train: nowhere\nnames: [bird]\n")
    put_picture(tmp_path / "unread" / "images" / "val" / "d.jpg", 3)
    (tmp_path / "old" / "sky" / "round").symlink_to(tmp_path)
    with caplog.at_level(logging.INFO):
        assert _names(tmp_path) == ["c.jpg", "train-0.jpg", "train-1.jpg", "a.jpg", "b.JPG"]
    assert f"{tmp_path}: 2 pictures of 1 data sets, 3 without labels" in caplog.text
    assert "unread: is left out, as no split of it can be read" in caplog.text


def test_several_paths_are_joined_and_each_file_taken_once(tmp_path: Path) -> None:
    folder, data_set = _folder(tmp_path / "folder"), _coco(tmp_path / "set", {"train": 2})
    (tmp_path / "folder" / "again.jpg").symlink_to(data_set / "images" / "train" / "train-0.jpg")
    assert sorted(_names(folder, data_set, folder / "a.jpg")) == ["a.jpg", "b.JPG", "train-0.jpg", "train-1.jpg"]


def test_what_cannot_be_read_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(_folder(tmp_path / "folder") / "c.png", b"not a picture")
    data_set = _coco(tmp_path / "set", {"train": 2})
    (data_set / "images" / "train" / "train-1.jpg").unlink()
    with caplog.at_level(logging.INFO):
        dataset = open_unlabelled([tmp_path / "folder", data_set])
    assert len(dataset) == 3
    assert [finding.rule for finding in dataset.skipped] == ["picture-unreadable", "picture-missing"]
    assert "folder: 0 pictures of 0 data sets, 2 without labels" in caplog.text
    assert "set: 1 pictures of 1 data sets, 0 without labels" in caplog.text


def test_nothing_to_learn_from_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no picture can be read there"):
        open_unlabelled([tmp_path / "empty"])
    with pytest.raises(DataError, match="no path is given"):
        open_unlabelled([])
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        open_unlabelled([tmp_path / "nowhere"])
    with pytest.raises(DataError, match=r"has no split 'train'; there are: dev, val. Name the pictures"):
        open_unlabelled([_coco(tmp_path / "birds", {"dev": 1, "val": 1})])


def test_a_broken_data_set_is_no_folder_of_pictures(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "val" / "a.jpg", 0)
    put(tmp_path / "data.yaml", "train: images/train\nnames: {bird: 0}\n")
    with pytest.raises(DataError, match="names"):
        open_unlabelled([tmp_path])


@pytest.mark.parametrize(
    ("pictures", "share", "held"), [(20, 0.1, 2), (20, 0.01, 1), (2, 0.9, 1), (1, 0.5, 0), (5, 0, 0)]
)
def test_pictures_are_held_back_by_chance_and_not_learnt_from(
    tmp_path: Path, pictures: int, share: float, held: int
) -> None:
    for number in range(pictures):
        put_picture(tmp_path / f"{number:02}.jpg", number, (16, 16))
    dataset = open_unlabelled([tmp_path])
    learnt, held_back = hold_back(dataset, share=share, seed=3)
    assert len(held_back) == held
    parted = {*learnt.picture_paths.tolist()}, {*held_back.picture_paths.tolist()}
    assert parted[0] | parted[1] == {*dataset.picture_paths.tolist()}
    assert not parted[0] & parted[1]
    again = hold_back(dataset, share=share, seed=3)[1]
    assert held_back.picture_paths.tolist() == again.picture_paths.tolist()


def test_the_training_loader_takes_it(tmp_path: Path) -> None:
    dataset = open_unlabelled([_folder(tmp_path)])
    rule = PictureRule(size_hw=(48, 64), resize="letterbox")
    with TrainingLoader(dataset, picture=rule, augment=AugmentConfig.none(), batch=2, seed=0) as loader:
        (batch,) = loader.epoch(0)
    assert batch.images.shape == (2, 3, 48, 64)
    assert len(batch.targets.labels) == 0
    place = [Path(str(name)).name for name in batch.picture_ids].index("a.jpg")
    difference = np.abs(batch.images[place].permute(1, 2, 0).numpy().astype(int) - pixels(0).astype(int))
    assert difference.mean() < 4
