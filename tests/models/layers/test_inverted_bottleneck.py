from __future__ import annotations

import torch

from sanderling.models.layers.bottleneck_style import BottleneckStyle
from sanderling.models.layers.inverted_bottleneck import Ibn

STYLE = BottleneckStyle(act="relu6")


def test_narrow_wide_narrow() -> None:
    block = Ibn(channels=16, kernel=5, stride=2, expansion=4).build(6, style=STYLE).eval()
    assert block.expand is not None
    assert block.expand.conv.weight.shape == (24, 6, 1, 1)
    assert block.depthwise.conv.weight.shape == (24, 1, 5, 5)
    assert block.project.conv.weight.shape == (16, 24, 1, 1)
    x = torch.randn(2, 6, 9, 14)
    found = block(x)
    assert found.shape == (2, 16, 5, 7)
    torch.testing.assert_close(found, block.project(block.depthwise(block.expand(x))))
    assert (found < 0).any(), "the last convolution is linear"


def test_expansion_of_one_starts_with_the_depthwise_convolution() -> None:
    block = Ibn(channels=8, expansion=1).build(12, style=STYLE).eval()
    assert block.expand is None
    x = torch.randn(1, 12, 5, 7)
    torch.testing.assert_close(block(x), block.project(block.depthwise(x)))


def test_ends_are_added_only_where_the_block_says_so() -> None:
    torch.manual_seed(0)
    plain = Ibn(channels=8, expansion=4).build(8, style=STYLE).eval()
    adding = Ibn(channels=8, expansion=4, residual=True).build(8, style=STYLE).eval()
    adding.load_state_dict(plain.state_dict())
    x = torch.randn(1, 8, 5, 7)
    torch.testing.assert_close(adding(x), plain(x) + x)


def test_squeeze_scales_the_wide_part() -> None:
    torch.manual_seed(0)
    style = BottleneckStyle(act="hardswish", squeeze_ratio=0.25)
    block = Ibn(channels=8, expansion=8).build(8, style=style).eval()
    assert block.expand is not None
    assert block.squeeze is not None
    x = torch.randn(1, 8, 5, 7)
    wide = block.depthwise(block.expand(x))
    mean = wide.mean((2, 3), keepdim=True)
    gate = block.squeeze.expand(torch.nn.functional.hardswish(block.squeeze.reduce(mean))).sigmoid()
    torch.testing.assert_close(block(x), block.project(wide * gate))
