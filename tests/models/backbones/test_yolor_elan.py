from __future__ import annotations

from typing import Literal

import pytest
import torch

from sanderling.models.backbones.yolor_elan import YolorElanConfig
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.elan import Elan


@pytest.mark.parametrize("stack", [1, 2])
def test_maps_have_the_promised_channels_and_strides(stack: Literal[1, 2]) -> None:
    network = YolorElanConfig(stem=4, stack=stack).build()
    assert network.features == FeatureSpec((64, 128, 128), (8, 16, 32))
    maps = network(torch.randn(2, 3, 96, 160))
    assert [tuple(x.shape) for x in maps] == [(2, 64, 12, 20), (2, 128, 6, 10), (2, 128, 3, 5)]


def test_single_stacks_have_convolutions_of_half_the_width() -> None:
    for stack, width in ((1, 32), (2, 64)):
        with torch.device("meta"):
            network = YolorElanConfig(stack=stack).build()  # type: ignore[arg-type]
        block = network.stage2
        assert isinstance(block, Elan)
        assert {conv.conv.out_channels for conv in block.stacks.modules() if isinstance(conv, ConvNormAct)} == {width}
        assert block.join.conv.in_channels == 4 * 64
