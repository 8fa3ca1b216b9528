from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.fpn import FpnConfig

FEATURES = FeatureSpec((6, 10, 14), (8, 16, 32))
MAPS = [torch.randn(2, 6, 8, 12), torch.randn(2, 10, 4, 6), torch.randn(2, 14, 2, 3)]


def test_coarse_maps_are_doubled_and_added_before_the_last_convolution() -> None:
    neck = FpnConfig(channels=5).build(FEATURES)
    fine, middle, coarse = (conv(x) for conv, x in zip(neck.lateral, MAPS, strict=True))
    middle = middle + coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
    fine = fine + middle.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for found, conv, x in zip(neck(MAPS), neck.smooth, (fine, middle, coarse), strict=True):
        torch.testing.assert_close(found, F.conv2d(x, conv.weight, conv.bias, padding=1))  # type: ignore[arg-type]


def test_outputs_have_one_width_and_the_same_strides() -> None:
    assert FpnConfig(channels=5).build(FEATURES).features == FeatureSpec((5, 5, 5), (8, 16, 32))


def test_levels_that_do_not_double_are_refused() -> None:
    with pytest.raises(ModelError, match="'fpn': gets levels of stride 8, 32"):
        FpnConfig().build(FeatureSpec((6, 6), (8, 32)))
