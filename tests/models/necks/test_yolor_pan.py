from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.csp import CspFusion
from sanderling.models.layers.elan import DoubleDown, Elan
from sanderling.models.necks.yolor_pan import CspBlocks, ElanBlocks, YolorPanConfig

FEATURES = FeatureSpec((7, 9, 11), (8, 16, 32))
CHANNELS = (4, 6, 8)


@pytest.mark.parametrize("blocks", [CspBlocks(repeats=1), ElanBlocks(stack=1), ElanBlocks(stack=2)])
def test_down_and_up_again_with_laterals(blocks: CspBlocks | ElanBlocks) -> None:
    neck = YolorPanConfig(channels=CHANNELS, blocks=blocks).build(FEATURES).eval()
    assert neck.features == FeatureSpec((8, 12, 16), (8, 16, 32))
    maps = [torch.randn(2, 7, 12, 20), torch.randn(2, 9, 6, 10), torch.randn(2, 11, 3, 5)]
    up = nn.Upsample(scale_factor=2, mode="nearest")
    top = neck.pool(maps[2])
    passed = neck.middle_down(torch.cat((neck.middle_lateral(maps[1]), up(neck.coarse_up[0](top))), 1))
    fine = neck.fine(torch.cat((neck.fine_lateral(maps[0]), up(neck.middle_up[0](passed))), 1))
    middle = neck.middle(torch.cat((neck.fine_to_middle(fine), passed), 1))
    coarse = neck.coarse(torch.cat((neck.middle_to_coarse(middle), top), 1))
    for found, conv, wanted in zip(neck(maps), neck.outs, (fine, middle, coarse), strict=True):
        torch.testing.assert_close(found, conv(wanted))


def test_the_kind_of_blocks_decides_joints_and_strides() -> None:
    csp = YolorPanConfig(channels=CHANNELS, blocks=CspBlocks(repeats=3)).build(FEATURES)
    assert isinstance(csp.middle, CspFusion)
    assert len(csp.middle.blocks) == 3
    assert not isinstance(csp.fine_to_middle, DoubleDown)
    elan = YolorPanConfig(channels=CHANNELS, blocks=ElanBlocks(stack=1)).build(FEATURES)
    assert isinstance(elan.middle, Elan)
    assert isinstance(elan.fine_to_middle, DoubleDown)
    assert {conv.conv.out_channels for conv in elan.middle.stacks.modules() if isinstance(conv, ConvNormAct)} == {3}


@pytest.mark.parametrize("features", [FeatureSpec((8, 16), (16, 32)), FeatureSpec((8, 8, 8), (4, 8, 32))])
def test_other_levels_are_refused(features: FeatureSpec) -> None:
    with pytest.raises(ModelError, match=r"'yolor_pan': gets levels of stride .*; it takes three, each of twice"):
        YolorPanConfig().build(features)
