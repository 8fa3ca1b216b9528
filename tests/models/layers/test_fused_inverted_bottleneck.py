from __future__ import annotations

import torch

from sanderling.models.layers.bottleneck_style import BottleneckStyle
from sanderling.models.layers.fused_inverted_bottleneck import FusedIbn


def test_one_full_convolution_expands() -> None:
    style = BottleneckStyle(act="relu6", squeeze_ratio=0.25)
    block = FusedIbn(channels=16, kernel=5, stride=2, expansion=4).build(6, style=style).eval()
    assert block.expand.conv.weight.shape == (24, 6, 5, 5)
    assert block.project.conv.weight.shape == (16, 24, 1, 1)
    assert block.squeeze is not None
    x = torch.randn(2, 6, 9, 14)
    found = block(x)
    assert found.shape == (2, 16, 5, 7)
    torch.testing.assert_close(found, block.project(block.squeeze(block.expand(x))))


def test_ends_are_added_only_where_the_block_says_so() -> None:
    torch.manual_seed(0)
    style = BottleneckStyle(act="relu6")
    plain = FusedIbn(channels=8, expansion=4).build(8, style=style).eval()
    adding = FusedIbn(channels=8, expansion=4, residual=True).build(8, style=style).eval()
    adding.load_state_dict(plain.state_dict())
    x = torch.randn(1, 8, 5, 7)
    torch.testing.assert_close(adding(x), plain(x) + x)
