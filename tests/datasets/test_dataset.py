from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.datasets.dataset import Dataset, join
from sanderling.datasets.locate import open_dataset
from sanderling.errors import DataError
from tests.support.small_sets import clean_set, put


def small(folder: Path, split: str = "train") -> Dataset:
    return open_dataset(clean_set(folder, "coco") if not folder.exists() else folder, split=split)


def test_read_gives_the_picture_with_its_boxes(tmp_path: Path) -> None:
    sample = small(tmp_path / "a").read(0)
    assert sample.image.shape == (48, 64, 3)
    assert sample.boxes_xyxy.dtype == np.float32
    assert sample.boxes_xyxy.tolist() == [[4, 6, 24, 18], [30.5, 10.25, 52, 40.25]]
    assert sample.weights.tolist() == [1, 1]
    assert sample.original_size_hw == (48, 64)


def test_read_of_a_broken_picture_is_one_clear_error(tmp_path: Path) -> None:
    dataset = small(tmp_path / "a")
    put(Path(dataset.picture_paths[0]), b"")
    with pytest.raises(DataError, match=r"a\.jpg: has zero bytes"):
        dataset.read(0)


@pytest.mark.parametrize("chosen", [[2, 0], [1], [], [0, 0, 2], [2, 1, 0]])
def test_subset_takes_pictures_with_their_boxes(tmp_path: Path, chosen: list[int]) -> None:
    dataset = small(tmp_path / "a")
    part = dataset.subset(chosen)
    assert len(part) == len(chosen)
    for place, index in enumerate(chosen):
        assert part.picture_paths[place] == dataset.picture_paths[index]
        for name in ("boxes_xyxy", "labels", "areas"):
            here, there = getattr(part, name)[part.boxes_of(place)], getattr(dataset, name)[dataset.boxes_of(index)]
            assert np.array_equal(here, there)


def test_join_is_all_pictures_of_both(tmp_path: Path) -> None:
    train, val = small(tmp_path / "a"), small(tmp_path / "a", "val")
    both = join([train, val], split="all")
    assert (len(both), len(both.labels), both.split) == (5, 6, "all")
    assert both.boxes_xyxy[both.boxes_of(4)].tolist() == val.boxes_xyxy[val.boxes_of(1)].tolist()


def test_join_of_different_classes_is_refused(tmp_path: Path) -> None:
    train, val = small(tmp_path / "a"), small(tmp_path / "a", "val")
    with pytest.raises(DataError, match="different classes"):
        join([train, dataclasses.replace(val, class_names=("smoke", "fire"))], split="all")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0, 1, 2, 0])}, "labels span 0..2"),
        ({"labels": np.array([0, 1, -1, 0])}, "labels span -1..1"),
        ({"labels": np.zeros(3, np.int64)}, "labels has shape"),
        ({"first_box": np.array([0, 2, 1, 4])}, "first_box must rise"),
        ({"first_box": np.array([0, 2, 3, 5])}, "first_box must rise"),
        ({"category_ids": (1,)}, "category_ids has 1 entries"),
        ({"boxes_xyxy": np.zeros((4, 5))}, "boxes_xyxy has shape"),
        ({"sizes_hw": np.zeros((3, 3), np.int32)}, "sizes_hw has shape"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(small(tmp_path / "a"), **change)
