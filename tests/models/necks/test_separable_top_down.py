from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.necks.separable_top_down import SeparableTopDownConfig

SPEC = FeatureSpec((3, 5), (16, 32))


def _config(*, linear: bool = True) -> SeparableTopDownConfig:
    return SeparableTopDownConfig(
        coarse_in=6, coarse=("depthwise", 7), fine=(4, "depthwise", 8, 9), kernel=5, linear=linear, act="relu"
    )


def test_two_maps_in_two_maps_out() -> None:
    neck = _config().build(SPEC).eval()
    assert neck.features == FeatureSpec((9, 7), (16, 32))
    found = neck([torch.randn(2, 3, 6, 10), torch.randn(2, 5, 3, 5)])
    assert [tuple(x.shape) for x in found] == [(2, 9, 6, 10), (2, 7, 3, 5)]


@pytest.mark.parametrize("linear", [False, True])
def test_only_1x1_after_a_depthwise_convolution_may_be_linear(linear: bool) -> None:
    neck = _config(linear=linear).build(SPEC)
    blocks = [module for module in (*neck.coarse, *neck.fine) if isinstance(module, ConvNormAct)]
    assert [block.conv.groups for block in blocks] == [6, 1, 1, 4, 1, 1]
    assert [isinstance(block.act, nn.Identity) for block in blocks] == [False, linear, False, False, linear, False]


@pytest.mark.parametrize("strides", [(8, 16, 32), (8, 32), (32,)])
def test_levels_that_it_cannot_take_are_refused(strides: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"neck\.kind = 'separable_top_down': gets levels of stride .*; it takes two"):
        _config().build(FeatureSpec((4,) * len(strides), strides))
