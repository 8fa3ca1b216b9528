"""PP-YOLOv2's neck: coarse to fine and back, with cross-stage partial blocks and Mish.

https://arxiv.org/abs/2104.10419; parts stand in the order of PaddleDetection's `PPYOLOPAN`. The ways are PANet's,
https://arxiv.org/abs/1803.01534, the blocks follow CSPNet, https://arxiv.org/abs/1911.11929.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.drop_block import BlockSide, DropBlock
from sanderling.models.necks.levels import expect_doubling, expect_halving
from sanderling.models.necks.ppyolo_fpn import pooled_conv
from sanderling.models.necks.top_down import top_down

_PAIRS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class PpyoloPanConfig:
    """Width and switches."""

    kind: Literal["ppyolo_pan"] = "ppyolo_pan"
    channels: Annotated[int, Field(gt=0)] = 512
    """Inside the coarsest level's blocks; each finer level has half. The maps that are handed on have twice as many."""
    pyramid_pool: bool = True
    """Pooling instead of the second 3x3 of the coarsest level on the way to fine."""
    drop_block: bool = True
    drop_block_size: BlockSide = 3
    keep: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of the cells that DropBlock leaves."""
    act: Activation = "mish"

    def build(self, features: FeatureSpec) -> PpyoloPan:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: the backbone gives levels whose strides do not double, or more levels than the width can be
                halved for.
        """
        expect_doubling(features, kind=self.kind)
        expect_halving(self.channels, times=len(features.strides) - 1, key="neck.channels")
        return PpyoloPan(features, config=self)


class PpyoloPan(nn.Module):
    """Blocks from coarse to fine with doubling between two of them, then blocks from fine to coarse with halving."""

    def __init__(self, features: FeatureSpec, *, config: PpyoloPanConfig) -> None:
        super().__init__()
        levels, act = len(features.strides), config.act
        inner = [config.channels // 2**level for level in range(levels)]
        self.features = FeatureSpec(tuple(2 * width for width in reversed(inner)), features.strides)
        self.down_blocks, self.down_transitions = nn.ModuleList(), nn.ModuleList()
        above = 0
        for level, channels_in in enumerate(reversed(features.channels)):
            width = inner[level]
            pools = config.pyramid_pool and level == 0
            self.down_blocks.append(_PartialBlock(above + channels_in, width, pools=pools, config=config))
            above = width
            if level < levels - 1:
                self.down_transitions.append(ConvNormAct(2 * width, width, 1, act=act))
        self.up_blocks, self.up_transitions = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(levels - 1)):
            finer, coarser = 2 * inner[level + 1], 2 * inner[level]
            self.up_transitions.append(ConvNormAct(finer, finer, 3, stride=2, act=act))
            self.up_blocks.append(_PartialBlock(finer + coarser, inner[level], pools=False, config=config))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone to as many maps, finest first."""
        fused = top_down(maps, self.down_blocks, list(self.down_transitions))
        found = [fused[0]]
        for halve, block, coarser in zip(self.up_transitions, self.up_blocks, fused[1:], strict=True):
            found.append(block(torch.cat((halve(found[-1]), coarser), 1))[1])
        return found


class _PartialBlock(nn.Module):
    """Two 1x1 ways, one on through three pairs of a 1x1 and a 3x3, joined by a 1x1; route and tip are the same."""

    def __init__(self, channels_in: int, width: int, *, pools: bool, config: PpyoloPanConfig) -> None:
        super().__init__()
        act = config.act
        self.left = ConvNormAct(channels_in, width, 1, act=act)
        self.right = ConvNormAct(channels_in, width, 1, act=act)
        self.join = ConvNormAct(2 * width, 2 * width, 1, act=act)
        self.layers = nn.Sequential()
        for pair in range(_PAIRS):
            self.layers.append(ConvNormAct(width, width, 1, act=act))
            pooled = pools and pair == 1
            self.layers.append(pooled_conv(width, width, act=act) if pooled else ConvNormAct(width, width, 3, act=act))
            if pair == 1 and config.drop_block:
                self.layers.append(DropBlock(config.drop_block_size, config.keep))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.join(torch.cat((self.layers(self.left(x)), self.right(x)), 1))
        return x, x
