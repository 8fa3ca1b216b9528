from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.bifpn import BiFpnConfig

FEATURES = FeatureSpec((6, 10, 14), (8, 16, 32))
MAPS = [torch.randn(2, 6, 8, 12), torch.randn(2, 10, 4, 6), torch.randn(2, 14, 2, 3)]


def _double(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def _half(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, 2, 1)


def test_a_round_goes_both_ways_and_the_middle_sees_its_own_map_twice() -> None:
    torch.manual_seed(0)
    neck: Any = BiFpnConfig(channels=5, repeats=1).build(FEATURES).eval()
    fine, middle, coarse = (conv(x) for conv, x in zip(neck.lateral, MAPS, strict=True))
    turn = neck.rounds[0]
    between = turn.up[1]([middle, _double(coarse)])
    out_fine = turn.up[0]([fine, _double(between)])
    out_middle = turn.down[0]([middle, between, _half(out_fine)])
    out_coarse = turn.down[1]([coarse, _half(out_middle)])
    for found, expected in zip(neck(MAPS), (out_fine, out_middle, out_coarse), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_node_is_a_mean_with_positive_weights_that_sum_to_one() -> None:
    neck: Any = BiFpnConfig(channels=5, repeats=1).build(FEATURES).eval()
    node = neck.rounds[0].down[0]
    node.shares.data = torch.tensor([3.0, -2.0, 1.0])
    first, second, third = (torch.randn(1, 5, 4, 6) for _ in range(3))
    mean = (3 * first + third) / 4.0001
    expected = node.pointwise(node.depthwise(mean * mean.sigmoid()))
    torch.testing.assert_close(node([first, second, third]), expected)


@pytest.mark.parametrize("repeats", [1, 3])
def test_rounds_are_added_and_widths_stay(repeats: int) -> None:
    neck = BiFpnConfig(channels=5, repeats=repeats).build(FEATURES)
    assert len(neck.rounds) == repeats
    assert neck.features == FeatureSpec((5, 5, 5), (8, 16, 32))
    assert [tuple(x.shape) for x in neck(MAPS)] == [(2, 5, 8, 12), (2, 5, 4, 6), (2, 5, 2, 3)]


def test_the_backbones_maps_are_left_alone() -> None:
    before = [x.clone() for x in MAPS]
    BiFpnConfig(channels=5).build(FEATURES)(MAPS)
    assert all(torch.equal(x, old) for x, old in zip(MAPS, before, strict=True))


def test_levels_that_do_not_double_are_refused() -> None:
    with pytest.raises(ModelError, match="'bifpn': gets levels of stride 16, 8"):
        BiFpnConfig().build(FeatureSpec((6, 6), (16, 8)))
