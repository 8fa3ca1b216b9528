from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling.errors import ModelError
from sanderling.models.backbones.blocks_by_stride import Block, BlocksByStride
from sanderling.models.features import FeatureSpec


def _blocks() -> list[Block]:
    return [
        Block(nn.Conv2d(3, 4, 3, 2, 1), 4, 2),
        Block(nn.Conv2d(4, 5, 3, 2, 1), 5, 4),
        Block(nn.Conv2d(5, 6, 1), 6, 4),
        Block(nn.Conv2d(6, 7, 3, 2, 1), 7, 8),
        Block(nn.Conv2d(7, 8, 3, 2, 1), 8, 16),
    ]


def test_a_map_is_what_the_last_block_of_its_stride_gives() -> None:
    blocks = _blocks()
    backbone = BlocksByStride(blocks, strides=(4, 8))
    assert backbone.features == FeatureSpec((6, 7), (4, 8))
    x = torch.randn(2, 3, 24, 40)
    fine = blocks[2].module(blocks[1].module(blocks[0].module(x)))
    maps = backbone(x)
    assert len(maps) == 2
    torch.testing.assert_close(maps[0], fine)
    torch.testing.assert_close(maps[1], blocks[3].module(fine))


def test_blocks_behind_the_last_map_are_left_out() -> None:
    backbone = BlocksByStride(_blocks(), strides=(4,))
    assert [name for name, _ in backbone.named_children()] == ["stride2", "stride4"]


@pytest.mark.parametrize("strides", [(), (8, 4), (4, 4), (4, 32)])
def test_strides_that_are_not_there_are_refused(strides: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"strides = .*has maps of strides 2, 4, 8, 16.*, or keep more blocks"):
        BlocksByStride(_blocks(), strides=strides)
