from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sanderling import config
from sanderling.errors import UsageError
from sanderling.objectives.losses.hard_negatives import HardNegatives
from sanderling.objectives.ssd import SsdObjectiveConfig
from sanderling.objectives.yolo import YoloObjectiveConfig


def _slow(mining: HardNegatives, losses: Tensor, negatives: Tensor, positives: list[int]) -> list[list[bool]]:
    rows = []
    for row, may, count in zip(losses.tolist(), negatives.tolist(), positives, strict=True):
        most = math.ceil(max(mining.ratio * count, mining.floor * len(row)))
        candidates = sorted((point for point in range(len(row)) if may[point]), key=lambda point: -row[point])
        rows.append([point in candidates[:most] for point in range(len(row))])
    return rows


@pytest.mark.parametrize("mining", [HardNegatives(), HardNegatives(ratio=0.5, floor=0.1), HardNegatives(ratio=100)])
def test_the_hardest_of_each_picture_are_chosen(mining: HardNegatives) -> None:
    generator = torch.Generator().manual_seed(0)
    # Many equal ones: the first of them count.
    losses = torch.randint(0, 9, (5, 77), generator=generator).float()
    negatives = torch.rand(5, 77, generator=generator) < 0.8
    positives = [0, 1, 5, 19, 77]
    chosen = mining.chosen(losses, negatives, torch.tensor(positives))
    assert chosen.dtype == torch.bool
    assert chosen.tolist() == _slow(mining, losses, negatives, positives)


def test_nothing_to_choose_from() -> None:
    losses, none = torch.rand(2, 9), torch.zeros(2, 9, dtype=torch.bool)
    assert not HardNegatives().chosen(losses, none, torch.tensor([3, 0])).any()
    empty = HardNegatives().chosen(losses[:0], none[:0], torch.zeros(0, dtype=torch.int64))
    assert empty.shape == (0, 9)


def test_a_picture_without_objects_still_teaches() -> None:
    losses = torch.rand(1, 450)
    chosen = HardNegatives().chosen(losses, losses >= 0, torch.tensor([0]))
    assert chosen.sum() == 5, "one in a hundred, rounded up"
    assert losses[chosen].min() >= losses[~chosen].max()


@pytest.mark.parametrize("objective", [SsdObjectiveConfig(), YoloObjectiveConfig()])
def test_mining_is_off_until_it_is_set(objective: SsdObjectiveConfig | YoloObjectiveConfig) -> None:
    assert objective.hard_negatives is None
    mined = config.override(objective, ["hard_negatives.ratio=2"])
    assert mined.hard_negatives == HardNegatives(ratio=2, floor=0.01)
    assert config.override(mined, ["hard_negatives=null"]) == objective
    with pytest.raises(UsageError, match=r"hard_negatives\.floor = 0"):
        config.override(objective, ["hard_negatives.floor=0"])
