from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sanderling.data import window as window_module
from sanderling.data.augment import AugmentConfig
from sanderling.data.loader import TrainingLoader
from sanderling.data.samplers import WINDOW
from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError, RunError
from sanderling.pictures import decode
from sanderling.structures.artefact import PictureRule
from sanderling.structures.batch import Batch
from tests.support.painted_sets import painted_boxes, painted_set

RULE = PictureRule(size_hw=(64, 96), pad_value=0)
SIZES = [(61, 83), (120, 47), (97, 161), (48, 80)]


def _loader(dataset: Dataset, **changed: Any) -> TrainingLoader:
    given: dict[str, Any] = {"picture": RULE, "augment": AugmentConfig(mosaic=0.5), "batch": 5, "seed": 7}
    return TrainingLoader(dataset, **(given | changed))


def _equal(first: Sequence[Batch], second: Sequence[Batch]) -> bool:
    def same(one: Batch, other: Batch) -> bool:
        return (
            torch.equal(one.images, other.images)
            and one.picture_ids == other.picture_ids
            and all(
                torch.equal(getattr(one.targets, name), getattr(other.targets, name))
                for name in ("boxes_xyxy", "labels", "weights", "picture_index")
            )
        )

    return len(first) == len(second) and all(map(same, first, second))


def test_a_batch_is_what_it_says(tmp_path: Path) -> None:
    (batch, *_) = _loader(painted_set(tmp_path, SIZES * 8)).epoch(0)
    assert batch.images.shape == (5, 3, 64, 96)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    targets = batch.targets
    assert (targets.boxes_xyxy.dtype, targets.labels.dtype) == (torch.float32, torch.int64)
    assert (targets.weights == 1).all()
    assert (targets.picture_index.diff() >= 0).all()
    assert targets.pictures == len(batch.picture_ids) == 5
    assert all(isinstance(picture_id, int) for picture_id in batch.picture_ids)


def test_every_sample_shows_the_boxes_of_its_targets(tmp_path: Path) -> None:
    loader = _loader(
        painted_set(tmp_path, SIZES * 8, empty=[1]),
        augment=AugmentConfig(mosaic=0.5, brightness=0.0, contrast=(1.0, 1.0), saturation=(1.0, 1.0)),
    )
    checked = 0
    for batch in loader.epoch(1):
        for sample in range(5):
            targets = batch.targets.of(sample)
            shown = painted_boxes(batch.images[sample].permute(1, 2, 0).numpy())
            for label, box in zip(targets.labels.tolist(), targets.boxes_xyxy.numpy(), strict=True):
                assert np.abs(np.array(shown[label]) - box).max() <= 1
                checked += 1
    assert checked > 30


@pytest.mark.parametrize("drop_last", [True, False])
def test_the_number_of_workers_changes_nothing(tmp_path: Path, drop_last: bool) -> None:
    dataset = painted_set(tmp_path, [*SIZES * 8][:31], suffix=".jpg")
    alone = _loader(dataset, drop_last=drop_last)
    expected = [list(alone.epoch(epoch)) for epoch in range(2)]
    assert [len(batch.images) for batch in expected[0]] == [5] * 6 + ([] if drop_last else [1])
    assert not _equal(expected[0], expected[1])
    for workers in (1, 2):
        with _loader(dataset, drop_last=drop_last, workers=workers) as loader:
            assert len(loader) == len(expected[0])
            assert _equal(list(loader.epoch(1)), expected[1])
            assert _equal(list(loader.epoch(0)), expected[0])


def test_batches_stay_as_they_are_while_others_follow(tmp_path: Path) -> None:
    with _loader(painted_set(tmp_path, SIZES * 8), batch=2, workers=1) as loader:
        batches, copies = [], []
        for batch in loader.epoch(0):
            batches.append(batch.images)
            copies.append(batch.images.clone())
    assert all(map(torch.equal, batches, copies))


def test_an_epoch_left_early_does_not_touch_the_next(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, SIZES * 8)
    expected = list(_loader(dataset).epoch(1))
    with _loader(dataset, workers=2) as loader:
        left = loader.epoch(0)
        next(left)
        assert _equal(list(loader.epoch(1)), expected)
        with pytest.raises(RuntimeError, match="epoch 0 ended when another one began"):
            next(left)


def test_ranks_see_disjoint_pictures(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, SIZES * 8)
    seen = [
        [picture for batch in _loader(dataset, rank=rank, world=3).epoch(0) for picture in batch.picture_ids]
        for rank in range(3)
    ]
    assert [len(pictures) for pictures in seen] == [10, 10, 10]
    assert len(set(itertools.chain(*seen))) == 30


def test_each_picture_is_decoded_once_in_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def counting(path: Path, *, smallest_hw: tuple[int, int] | None = None) -> Any:
        opened.append(path)
        return decode(path, smallest_hw=smallest_hw)

    monkeypatch.setattr(window_module, "decode", counting)
    list(_loader(painted_set(tmp_path, SIZES * 5), augment=AugmentConfig(mosaic=1.0)).epoch(0))
    assert len(opened) == len(set(opened)) == 20


def test_mosaic_can_be_left_out_of_an_epoch(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, SIZES * 4)
    always, never = (_loader(dataset, augment=AugmentConfig(mosaic=chance)) for chance in (1.0, 0.0))
    assert _equal(list(always.epoch(0, mosaic=False)), list(never.epoch(0)))
    assert not _equal(list(always.epoch(0)), list(never.epoch(0)))


def test_fewer_pictures_than_a_batch(tmp_path: Path) -> None:
    loader = _loader(painted_set(tmp_path, SIZES[:3]), batch=8)
    assert [len(batch.images) for batch in loader.epoch(0)] == [3]
    assert len(loader) == 1


def test_nothing_but_pictures_without_boxes(tmp_path: Path) -> None:
    (batch, *_) = _loader(painted_set(tmp_path, SIZES * 4, empty=range(16))).epoch(0)
    assert batch.targets.boxes_xyxy.shape == (0, 4)
    assert batch.targets.labels.shape == (0,)
    assert batch.targets.pictures == 5


def test_crowds_are_left_out_and_difficult_boxes_kept(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, SIZES, crowd=[0, 3], difficult=[1, 2])
    (batch,) = _loader(dataset, augment=AugmentConfig.none(), batch=4).epoch(0)
    assert sorted(batch.targets.labels.tolist()) == [1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_pictures_are_told_once_and_stood_in_for(
    tmp_path: Path, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = painted_set(tmp_path, SIZES * 8)
    # A whole window of the first epoch and one picture more.
    gone = _loader(dataset)._sampler.order(0)[: WINDOW - 1].tolist()
    gone.append(next(index for index in range(32) if index not in gone))
    for index in gone:
        Path(dataset.picture_paths[index]).write_bytes(b"GIF89a")
    with _loader(dataset, workers=workers) as loader, caplog.at_level(logging.WARNING):
        for epoch in range(3):
            for batch in loader.epoch(epoch):
                assert len(batch.images) == 5
                assert not {picture - 100 for picture in map(int, batch.picture_ids)} & set(gone)
        assert set(loader.unreadable) == set(dataset.picture_paths[gone].tolist())
    assert len(caplog.records) == len(gone)
    assert all("another picture stands in for it" in record.message for record in caplog.records)


@pytest.mark.parametrize("workers", [0, 1])
def test_no_readable_picture_at_all(tmp_path: Path, workers: int) -> None:
    dataset = painted_set(tmp_path, SIZES * 4)
    for path in dataset.picture_paths:
        Path(path).write_bytes(b"")
    with _loader(dataset, workers=workers) as loader, pytest.raises(DataError, match="no picture of the split 'train'"):
        list(loader.epoch(0))


def test_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'train' has no pictures"):
        _loader(painted_set(tmp_path, []))


def test_a_dead_worker_ends_the_run(tmp_path: Path) -> None:
    with _loader(painted_set(tmp_path, SIZES * 8), workers=1) as loader:
        next(loader.epoch(0))
        assert loader._pool is not None
        loader._pool._workers[0][0].kill()
        loader._pool._workers[0][0].wait()
        with pytest.raises(RunError, match="SIGKILL"):
            list(loader.epoch(1))


def test_a_closed_loader_starts_again(tmp_path: Path) -> None:
    loader = _loader(painted_set(tmp_path, SIZES * 2), workers=1)
    first = list(loader.epoch(0))
    loader.close()
    assert _equal(list(loader.epoch(0)), first)
    loader.close()
