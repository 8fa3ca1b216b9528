from __future__ import annotations

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.pan import PanConfig

FEATURES = FeatureSpec((6, 10, 14), (8, 16, 32))


def test_a_second_path_goes_from_fine_to_coarse() -> None:
    torch.manual_seed(0)
    neck = PanConfig(channels=5).build(FEATURES)
    maps = [torch.randn(2, 6, 8, 12), torch.randn(2, 10, 4, 6), torch.randn(2, 14, 2, 3)]
    fine, middle, coarse = neck.top_down(maps)
    middle = neck.fuse[0](middle + neck.down[0](fine).relu()).relu()
    coarse = neck.fuse[1](coarse + neck.down[1](middle).relu()).relu()
    for found, expected in zip(neck(maps), (fine, middle, coarse), strict=True):
        torch.testing.assert_close(found, expected)


def test_what_a_fine_map_says_reaches_the_coarsest_one() -> None:
    neck = PanConfig(channels=5).build(FEATURES)
    maps = [
        torch.randn(1, width, 64 // stride, 96 // stride)
        for width, stride in zip(FEATURES.channels, FEATURES.strides, strict=True)
    ]
    maps[0].requires_grad_()
    neck(maps)[2].sum().backward()
    assert maps[0].grad is not None
    assert maps[0].grad.any()


def test_outputs_have_one_width_and_the_same_strides() -> None:
    assert PanConfig(channels=5).build(FEATURES).features == FeatureSpec((5, 5, 5), (8, 16, 32))


def test_levels_that_do_not_double_are_refused() -> None:
    with pytest.raises(ModelError, match="'pan': gets levels of stride 8"):
        PanConfig().build(FeatureSpec((6,), (8,)))
