"""PP-YOLO's neck: YOLOv3's with coordinates in its 1x1 convolutions, pyramid pooling and DropBlock.

https://arxiv.org/abs/2007.12099; parts stand from coarse to fine in the order of PaddleDetection's `PPYOLOFPN`. With
all switches off it is YOLOv3's neck.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.coord_conv import CoordConv, CoordGrid
from sanderling.models.layers.drop_block import BlockSide, DropBlock
from sanderling.models.layers.pyramid_pool import PyramidPool
from sanderling.models.necks.levels import expect_doubling, expect_halving
from sanderling.models.necks.top_down import RouteAndTip, top_down

_POOLED = (5, 9, 13)


@dataclass(frozen=True, kw_only=True, slots=True)
class PpyoloFpnConfig:
    """Widths, depth and the switches of the ablation."""

    kind: Literal["ppyolo_fpn"] = "ppyolo_fpn"
    channels: Annotated[int, Field(gt=0)] = 512
    """Of the coarsest level's routes; each finer level has half. The maps that are handed on have twice as many."""
    transition: Annotated[int, Field(gt=0)] = 256
    """Channels that the coarsest level hands to the next one; each finer level hands on half."""
    pairs: Literal[0, 2] = 2
    """Pairs of a 1x1 and a 3x3 before the route (`conv_block_num`); the light PP-YOLOs have none."""
    coordinates: CoordGrid | None = None
    """CoordConv instead of the blocks' 1x1 convolutions and of the last 3x3."""
    pyramid_pool: bool = False
    """Maxima over 5x5, 9x9 and 13x13 cells beside the coarsest map."""
    drop_block: bool = False
    drop_block_size: BlockSide = 3
    keep: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of the cells that DropBlock leaves."""
    act: Activation = "leaky_relu"

    def build(self, features: FeatureSpec) -> PpyoloFpn:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: the backbone gives levels whose strides do not double, or more levels than widths can be halved
                for.
        """
        expect_doubling(features, kind=self.kind)
        expect_halving(self.channels, times=len(features.strides) - 1, key="neck.channels")
        expect_halving(self.transition, times=len(features.strides) - 2, key="neck.transition")
        return PpyoloFpn(features, config=self)


class PpyoloFpn(nn.Module):
    """A block per level and a 1x1 with doubling between two of them."""

    def __init__(self, features: FeatureSpec, *, config: PpyoloFpnConfig) -> None:
        super().__init__()
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleList()
        above, tips = 0, []
        for level, channels_in in enumerate(reversed(features.channels)):
            width = config.channels // 2**level
            self.blocks.append(_block(above + channels_in, width, coarsest=level == 0, config=config))
            tips.append(2 * width)
            if level < len(features.strides) - 1:
                above = config.transition // 2**level
                self.transitions.append(ConvNormAct(width, above, 1, act=config.act))
        self.features = FeatureSpec(tuple(reversed(tips)), features.strides)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone to as many maps, finest first."""
        return top_down(maps, self.blocks, list(self.transitions))


def pooled_conv(channels_in: int, channels_out: int, *, act: Activation) -> nn.Sequential:
    """A map and its maxima over 5x5, 9x9 and 13x13 cells, joined by a 1x1."""
    joined = channels_in * (1 + len(_POOLED))
    return nn.Sequential(PyramidPool(_POOLED), ConvNormAct(joined, channels_out, 1, act=act))


def _block(channels_in: int, width: int, *, coarsest: bool, config: PpyoloFpnConfig) -> RouteAndTip:
    """Layers in the published order; DropBlock and pooling stand at other places with and without pairs."""
    pools = config.pyramid_pool and coarsest
    act = config.act

    def placed(channels_from: int, channels_to: int, kernel: int) -> nn.Module:
        if config.coordinates is None:
            return ConvNormAct(channels_from, channels_to, kernel, act=act)
        return CoordConv(channels_from, channels_to, kernel, grid=config.coordinates, act=act)

    drop = [DropBlock(config.drop_block_size, config.keep)] if config.drop_block else []
    if config.pairs == 0:
        pool = [pooled_conv(channels_in, channels_in, act=act)] if pools else []
        layers = [*pool, *drop, placed(channels_in, width, 1)]
    else:
        pool = [pooled_conv(width, width, act=act)] if pools else []
        layers = [
            placed(channels_in, width, 1),
            ConvNormAct(width, 2 * width, 3, act=act),
            *([] if coarsest else drop),
            placed(2 * width, width, 1),
            *pool,
            ConvNormAct(width, 2 * width, 3, act=act),
            *(drop if coarsest else []),
            placed(2 * width, width, 1),
        ]
    return RouteAndTip(nn.Sequential(*layers), placed(width, 2 * width, 3))
