from __future__ import annotations

import torch
from torch import nn

from sanderling.models.backbones.yolov7_tiny import Yolov7TinyConfig


def test_maps_have_the_promised_shapes_at_an_odd_size() -> None:
    backbone = Yolov7TinyConfig(width=4).build().eval()
    assert backbone.features.channels == (16, 32, 64)
    maps = backbone(torch.randn(2, 3, 96, 160))
    assert [tuple(x.shape) for x in maps] == [(2, 16, 12, 20), (2, 32, 6, 10), (2, 64, 3, 5)]


def test_channels_are_those_of_the_published_network() -> None:
    with torch.device("meta"):
        backbone = Yolov7TinyConfig().build()
    convs = [module for module in backbone.modules() if isinstance(module, nn.Conv2d)]
    assert len(convs) == 2 + 4 * 5
    # Each aggregation joins two 1x1 and two 3x3 of one width.
    joints = [(conv.in_channels, conv.out_channels) for conv in convs[6::5]]
    assert joints == [(128, 64), (256, 128), (512, 256), (1024, 512)]
