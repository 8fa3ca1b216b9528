from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sanderling.data import source as source_module
from sanderling.data.augment import AugmentConfig, BatchSizes
from sanderling.data.loader import TrainingLoader
from sanderling.data.samplers import WINDOW, ClassAwareSampling, RepeatFactorSampling, UniformSampling
from sanderling.data.transforms.blend import MixupConfig
from sanderling.data.transforms.cutout import ActivationCutoutConfig
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


@pytest.mark.parametrize(("drop_last", "workers"), [(True, 1), (False, 2)])
def test_the_number_of_workers_changes_nothing(tmp_path: Path, drop_last: bool, workers: int) -> None:
    dataset = painted_set(tmp_path, [*SIZES * 8][:31], suffix=".jpg")
    alone = _loader(dataset, drop_last=drop_last)
    expected = [list(alone.epoch(epoch)) for epoch in range(2)]
    assert [len(batch.images) for batch in expected[0]] == [5] * 6 + ([] if drop_last else [1])
    assert not _equal(expected[0], expected[1])
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

    monkeypatch.setattr(source_module, "decode", counting)
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


@pytest.mark.parametrize("workers", [0, 1])
def test_every_batch_has_its_own_size(tmp_path: Path, workers: int) -> None:
    dataset = painted_set(tmp_path, SIZES * 8)
    augment = AugmentConfig(
        mosaic=0.5, colour_probability=0.0, sizes=BatchSizes(smallest=64, largest=160, step=32), min_visible=0.0
    )
    with _loader(dataset, augment=augment, batch=3, workers=workers) as loader:
        batches = list(loader.epoch(0))
    assert len({tuple(batch.images.shape[2:]) for batch in batches}) > 2
    for batch in batches:
        height, width = batch.images.shape[2:]
        assert (height % 32, width % 32) == (0, 0)
        for sample, image in enumerate(batch.images.permute(0, 2, 3, 1).numpy()):
            shown, targets = painted_boxes(image), batch.targets.of(sample)
            for label, box in zip(targets.labels.tolist(), targets.boxes_xyxy.numpy(), strict=True):
                assert np.abs(np.array(shown[label]) - box).max() <= 1
    assert _equal(batches, list(_loader(dataset, augment=augment, batch=3).epoch(0)))


def test_boxes_of_mixed_samples_carry_their_share(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, SIZES * 8)
    (batch, *_) = _loader(dataset, augment=AugmentConfig(mixup=MixupConfig())).epoch(0)
    assert 0 < batch.targets.weights.min() < batch.targets.weights.max() < 1
    (batch, *_) = _loader(dataset, augment=AugmentConfig(mixup=MixupConfig(until=0.5))).epoch(0, progress=0.5)
    assert (batch.targets.weights == 1).all()


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
            images = []
            for batch in loader.epoch(epoch):
                assert len(batch.images) == 5
                assert not {picture - 100 for picture in map(int, batch.picture_ids)} & set(gone)
                images += [image.numpy().tobytes() for image in batch.images]
            # A window that stands in for another one shows its pictures in another way.
            assert len(set(images)) > 20
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


def test_rare_classes_are_repeated_in_epochs_of_one_length(tmp_path: Path) -> None:
    # Every class stands in one picture of twenty, so that a threshold of 0.8 shows each four times.
    dataset = painted_set(tmp_path, SIZES * 5, empty=[2])
    loader = _loader(dataset, sampling=RepeatFactorSampling(threshold=0.8))
    epochs = [list(loader.epoch(epoch)) for epoch in range(2)]
    for batches in epochs:
        assert len(batches) == len(loader) == (19 * 4 + 1) // 5
        assert max(Counter(picture for batch in batches for picture in batch.picture_ids).values()) == 4
    assert not _equal(*epochs)
    assert _equal(list(loader.epoch(1)), epochs[1])


def test_windows_that_begin_with_the_same_picture_are_varied_each_in_its_own_way(tmp_path: Path) -> None:
    # All samples show the only picture with objects.
    dataset = painted_set(tmp_path, SIZES * 8, empty=range(1, 32))
    for world in (1, 2):
        loaders = [
            _loader(dataset, sampling=ClassAwareSampling(), batch=16, rank=rank, world=world) for rank in range(world)
        ]
        images = [image.numpy().tobytes() for loader in loaders for batch in loader.epoch(0) for image in batch.images]
        assert len(set(images)) == len(images) == 32


def test_a_picture_of_nothing_but_crowds_counts_as_empty(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, SIZES, crowd=[0, 1])
    loader = _loader(dataset, sampling=UniformSampling(empty_share=0.5), batch=4)
    assert Counter(picture for batch in loader.epoch(0) for picture in batch.picture_ids)[100] == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_marks_are_cut_out_of_their_own_pictures_seen_alone(tmp_path: Path, workers: int) -> None:
    dataset = painted_set(tmp_path, SIZES * 8)
    # The left half of every second picture.
    marks = np.zeros((32, 4, 4), np.bool_)
    marks[::2, :, :2] = True
    augment = AugmentConfig(mosaic=0.3, activation_cutout=ActivationCutoutConfig(cells=4), colour_probability=0.0)
    with _loader(dataset, augment=augment, batch=8, workers=workers) as loader:
        plain = list(loader.epoch(0))
        cut = list(loader.epoch(0, marks=marks))
    counts: Counter[tuple[bool, bool, bool]] = Counter()
    for one, other in zip(plain, cut, strict=True):
        assert one.placements is not None
        for sample, picture in enumerate(one.picture_ids):
            assert isinstance(picture, int)
            changed = not torch.equal(one.images[sample], other.images[sample])
            counts[bool(one.placements[sample].isfinite().all()), (picture - 100) % 2 == 0, changed] += 1
    # Every picture that is marked and seen alone is changed, and no other.
    assert set(counts) == {(True, True, True), (True, False, False), (False, True, False), (False, False, False)}
