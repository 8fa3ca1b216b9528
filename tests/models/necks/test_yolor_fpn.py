from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.yolor_fpn import YolorFpnConfig

FEATURES = FeatureSpec((8, 12, 16), (8, 16, 32))


@pytest.mark.parametrize("spp", [True, False])
def test_each_level_joins_what_the_coarser_one_passes_on(spp: bool) -> None:
    neck = YolorFpnConfig(spp=spp).build(FEATURES).eval()
    assert neck.features == FEATURES
    maps = [torch.randn(2, 8, 12, 20), torch.randn(2, 12, 6, 10), torch.randn(2, 16, 3, 5)]
    coarse = neck.coarse(maps[2])
    raised = F.interpolate(neck.coarse_up[0](coarse), scale_factor=2, mode="nearest")
    middle = neck.middle(torch.cat((raised, maps[1]), 1))
    raised = F.interpolate(neck.middle_up[0](middle), scale_factor=2, mode="nearest")
    fine = neck.fine(torch.cat((raised, maps[0]), 1))
    expected = (fine, neck.middle_out(middle), neck.coarse_out(coarse))
    for found, wanted in zip(neck(maps), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    assert [x.shape[1] for x in neck(maps)] == [8, 12, 16]


def test_pooling_costs_one_wider_convolution() -> None:
    with_pool, without = (
        sum(parameter.numel() for parameter in YolorFpnConfig(spp=spp).build(FEATURES).parameters())
        for spp in (True, False)
    )
    # 1x1 from four times 8 channels to 8, and its norm.
    assert with_pool - without == 4 * 8 * 8 + 2 * 8


@pytest.mark.parametrize(
    "features",
    [
        FeatureSpec((8, 16), (16, 32)),
        FeatureSpec((8, 8, 8), (4, 8, 32)),
        FeatureSpec((8, 8, 8, 8), (4, 8, 16, 32)),
    ],
)
def test_other_levels_are_refused(features: FeatureSpec) -> None:
    with pytest.raises(ModelError, match=r"'yolor_fpn': gets levels of stride .*; it takes three, each of twice"):
        YolorFpnConfig().build(features)


def test_widths_are_even_and_need_be_no_more() -> None:
    assert YolorFpnConfig().build(FeatureSpec((6, 10, 14), (8, 16, 32))).features.channels == (6, 10, 14)
    with pytest.raises(ModelError, match="'yolor_fpn': gets levels of 8, 8, 9 channels and halves them; choose"):
        YolorFpnConfig().build(FeatureSpec((8, 8, 9), (8, 16, 32)))
