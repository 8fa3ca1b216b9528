from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sanderling.models.backbones.efficientnet_lite import EfficientNetLiteConfig, LiteBlock

SMALL = EfficientNetLiteConfig(stem=8, channels=(4, 6, 8, 10, 12, 14, 16), blocks=(1, 2, 1, 2, 1, 1, 1))


def test_maps_have_the_promised_shapes_at_an_odd_size() -> None:
    backbone = SMALL.build().eval()
    assert backbone.features.channels == (8, 12, 16)
    maps = backbone(torch.randn(1, 3, 75, 133))
    assert [tuple(x.shape[1:]) for x in maps] == [(8, 10, 17), (12, 5, 9), (16, 3, 5)]


def test_a_block_is_an_inverted_bottleneck_with_a_shortcut() -> None:
    block = LiteBlock(4, 4, kernel=5, stride=1, expansion=6, act="relu6", drop_probability=0.0).eval()
    assert block.expand_conv is not None
    assert block.bn0 is not None
    x = torch.randn(2, 4, 7, 9)
    wide = F.relu6(block.bn0(F.conv2d(x, block.expand_conv.weight)))
    wide = F.relu6(block.bn1(F.conv2d(wide, block.depthwise_conv.weight, padding=2, groups=24)))
    torch.testing.assert_close(block(x), x + block.bn2(F.conv2d(wide, block.project_conv.weight)))


def test_the_first_stage_does_not_expand_and_norms_are_the_published_ones() -> None:
    backbone = SMALL.build()
    assert backbone.blocks[0][0].expand_conv is None  # type: ignore[index]
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def test_blocks_are_left_out_more_often_towards_the_end() -> None:
    blocks = [block for block in SMALL.build().modules() if isinstance(block, LiteBlock)]
    assert [block.drop_probability for block in blocks] == pytest.approx([0.2 * number / 7 for number in range(9)])


def test_left_out_for_a_picture_means_its_input_and_the_others_make_up_for_it() -> None:
    torch.manual_seed(0)
    block = LiteBlock(4, 4, kernel=3, stride=1, expansion=1, act="relu6", drop_probability=0.25)
    for norm in (block.bn1, block.bn2):
        norm.eval()  # so that pictures do not depend on one another
    x = torch.randn(400, 4, 2, 3)
    found = block(x)
    left_out = (found == x).flatten(1).all(1)
    assert 60 < left_out.sum() < 140
    expected = block.eval()(x) - x
    torch.testing.assert_close(found[~left_out] - x[~left_out], expected[~left_out] / 0.75, rtol=1e-4, atol=1e-5)
