from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from sanderling.data.augment import StitcherConfig
from sanderling.models.zoo.nanodet import nanodet_debug
from sanderling.structures.batch import Batch, Targets
from sanderling.training.detection import DetectionTaskConfig
from sanderling.training.loop import LoopConfig, fit
from sanderling.training.stitching import Stitching
from tests.support.training import ListLoader, cpu_runtime, random_batch, training_of
from tests.support.two_processes import in_two_processes

SMALL, LARGE = [4.0, 4.0, 36.0, 36.0], [0.0, 0.0, 33.0, 32.0]


def _batch(*boxes: list[float]) -> Batch:
    batch = random_batch(1, size_hw=(64, 64))
    targets = Targets(
        boxes_xyxy=torch.tensor(boxes).reshape(-1, 4),
        labels=torch.zeros(len(boxes), dtype=torch.int64),
        weights=torch.full((len(boxes),), 0.5),
        picture_index=torch.zeros(len(boxes), dtype=torch.int64),
        pictures=1,
    )
    return dataclasses.replace(batch, targets=targets)


def _stitching(threshold: float = 0.1) -> Stitching:
    return Stitching(StitcherConfig(threshold=threshold), box_terms=("box", "side"), min_side=2.0)


def _step(stitching: Stitching, batch: Batch, each: list[float]) -> bool:
    """Learn a batch whose boxes have these losses; whether the next batch would be stitched."""
    # As it is, whether the stitcher would have it so or not.
    weights = batch.targets.weights.clone().requires_grad_()
    batch = dataclasses.replace(batch, targets=dataclasses.replace(batch.targets, weights=weights))
    losses = weights * 2 * torch.tensor(each)
    stitching.after(batch, {"box": losses.sum() * 0.75, "side": losses.sum() * 0.25, "class": weights.sum() * 1e6})
    return not torch.equal(stitching.before(batch).images, batch.images)


def test_the_first_batch_of_a_run_is_stitched() -> None:
    batch = _batch(SMALL)
    stitched = _stitching().before(batch)
    assert not torch.equal(stitched.images, batch.images)
    assert torch.equal(stitched.targets.boxes_xyxy[0], torch.tensor(SMALL) / 2)


@pytest.mark.parametrize(("losses", "stitched"), [([0.09, 0.91], True), ([0.11, 0.89], False), ([0.0, 1.0], True)])
def test_a_batch_is_stitched_where_small_boxes_gave_little_before_it(losses: list[float], stitched: bool) -> None:
    # The small one has just the largest area that is small.
    assert _step(_stitching(), _batch(SMALL, LARGE), losses) == stitched


def test_nothing_is_stitched_below_no_share() -> None:
    assert not _step(_stitching(threshold=0.0), _batch(LARGE), [1.0])


def test_a_batch_that_says_nothing_leaves_all_as_it_was() -> None:
    stitching = _stitching()
    for batch, losses in [(_batch(), []), (_batch(SMALL), [math.nan]), (_batch(SMALL), [0.0])]:
        assert _step(stitching, batch, losses)
    assert not _step(stitching, _batch(SMALL), [1.0])
    for batch, losses in [(_batch(), []), (_batch(LARGE), [math.inf]), (_batch(LARGE), [0.0])]:
        assert not _step(stitching, batch, losses)


def test_the_batch_of_the_loader_stays_as_it_is() -> None:
    batch = _batch(SMALL, LARGE)
    learnt = _stitching().before(batch)
    assert learnt.targets.weights.requires_grad
    assert not batch.targets.weights.requires_grad


def test_it_goes_on_where_it_was() -> None:
    first, second = _stitching(threshold=0.3), _stitching(threshold=0.3)
    _step(first, _batch(SMALL, LARGE), [1.0, 2.0])
    second.restore(first.state())
    assert second.state() == first.state()
    assert first.state()["small_share"] == pytest.approx(1 / 3)
    batch = _batch(SMALL)
    assert torch.equal(second.before(batch).images, batch.images)


def _work(rank: int) -> dict[str, Any]:
    """The first process has small boxes only, the second large ones only."""
    stitching = _stitching(threshold=0.4)
    stitched = _step(stitching, _batch(SMALL if rank == 0 else LARGE), [1.0 + rank])
    return {"stitched": stitched, **stitching.state(), "run": _run(rank)}


def _run(rank: int) -> list[float]:
    """What a run under DistributedDataParallel ends in."""
    torch.manual_seed(2)
    training = training_of(DetectionTaskConfig().build(nanodet_debug(("a", "b")).build()), lr=0.01, epochs=1)
    stitching = Stitching(StitcherConfig(threshold=0.5), box_terms=("box", "distribution"), min_side=2.0)
    training.feedback = (stitching,)
    fit(
        training,
        ListLoader([random_batch(2, seed=2 * step + rank) for step in range(4)]),
        config=LoopConfig(epochs=1, accumulate=2),
        runtime=cpu_runtime(),
        seed=0,
        validate=None,
        keep=lambda *_: None,
    )
    weights = [float(parameter.detach().double().sum()) for parameter in training.task.network.parameters()]
    return [stitching.state()["small_share"], *weights]


@pytest.mark.slow
def test_all_processes_decide_alike(tmp_path: Path) -> None:
    first, second = in_two_processes(_work, tmp_path)
    assert first["stitched"]
    assert first["small_share"] == pytest.approx(1 / 3)
    assert 0 < first["run"][0] < 1
    assert first == second
