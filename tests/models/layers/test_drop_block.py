from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sanderling.models.layers.drop_block import DropBlock


@pytest.mark.parametrize(("side", "published"), [(19, 0.01388), (38, 0.01238), (76, 0.01172)])
def test_seeds_are_as_frequent_as_published(side: int, published: float) -> None:
    assert DropBlock(3, 0.9).seed_probability(side, side) == pytest.approx(published, abs=5e-6)


def test_a_map_that_is_not_square() -> None:
    assert DropBlock(3, 0.9).seed_probability(5, 9) == pytest.approx(0.1 / 9 * (5 / 3) * (9 / 7))


@pytest.mark.parametrize("size_hw", [(2, 3), (1, 1)])
def test_a_map_smaller_than_the_square(size_hw: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = DropBlock(3, 0.9)
    assert 0 < layer.seed_probability(*size_hw) < 0.1
    assert torch.isfinite(layer(torch.ones(2, 4, *size_hw))).all()


def test_squares_are_left_out_and_made_up_for() -> None:
    torch.manual_seed(1)
    x = torch.ones(2, 16, 19, 31)
    found = DropBlock(3, 0.9)(x)
    lost = found == 0
    assert 0.05 < float(lost.float().mean()) < 0.15
    # What is left is scaled so that the mean stays.
    assert found[~lost].unique().numel() == 1
    assert float(found.mean()) == pytest.approx(1, abs=1e-5)
    # Every lost cell is part of a lost square of 3x3 (at the border, of what of it is inside).
    padded = F.pad(lost.float(), (2, 2, 2, 2), value=1)
    whole = -F.max_pool2d(-padded, 3, 1)
    assert torch.equal(F.max_pool2d(whole, 3, 1) == 1, lost)


def test_each_channel_and_picture_loses_other_squares() -> None:
    torch.manual_seed(0)
    lost = DropBlock(3, 0.8)(torch.ones(2, 2, 24, 24)) == 0
    assert len({tuple(plane.flatten().tolist()) for plane in lost.flatten(0, 1)}) == 4


def test_nothing_happens_outside_training() -> None:
    x = torch.randn(1, 3, 7, 9)
    assert DropBlock(3, 0.5).eval()(x) is x
    assert DropBlock(3, 1.0).train()(x) is x


def test_nothing_is_left_of_a_map_that_is_lost_as_a_whole() -> None:
    found = DropBlock(3, 1e-6)(torch.ones(1, 1, 3, 3))
    assert torch.equal(found, torch.zeros(1, 1, 3, 3))
