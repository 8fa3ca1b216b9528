"""PP-YOLO-tiny's neck: the way of YOLOv3's with depthwise 5x5 convolutions, DropBlock at the entry of every block.

PaddleDetection's `PPYOLOTinyFPN`; parts stand from coarse to fine in its order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.drop_block import BlockSide, DropBlock
from sanderling.models.necks.levels import expect_doubling, expect_one_each
from sanderling.models.necks.ppyolo_fpn import pooled_conv
from sanderling.models.necks.top_down import RouteAndTip, top_down

_KERNEL = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class PpyoloTinyFpnConfig:
    """Widths and switches."""

    kind: Literal["ppyolo_tiny_fpn"] = "ppyolo_tiny_fpn"
    channels: tuple[Annotated[int, Field(gt=0)], ...] = (96, 128, 160)
    """Of the blocks, finest first; also of the maps that are handed on."""
    pyramid_pool: bool = True
    """Maxima over 5x5, 9x9 and 13x13 cells beside the coarsest map of the backbone."""
    drop_block: bool = True
    drop_block_size: BlockSide = 3
    keep: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of the cells that DropBlock leaves."""
    act: Activation = "leaky_relu"

    def build(self, features: FeatureSpec) -> PpyoloTinyFpn:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: another number of levels than there are widths for, or their strides do not double.
        """
        expect_doubling(features, kind=self.kind)
        expect_one_each(features, self.channels, key="neck.channels")
        return PpyoloTinyFpn(features, config=self)


class PpyoloTinyFpn(nn.Module):
    """Pooling on the coarsest map, a block per level, a 1x1 of the same width with doubling between two of them."""

    def __init__(self, features: FeatureSpec, *, config: PpyoloTinyFpnConfig) -> None:
        super().__init__()
        self.features = FeatureSpec(config.channels, features.strides)
        coarsest = features.channels[-1]
        self.pool = pooled_conv(coarsest, coarsest, act=config.act) if config.pyramid_pool else nn.Identity()
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleList()
        above = 0
        for channels_in, width in zip(reversed(features.channels), reversed(config.channels), strict=True):
            self.blocks.append(_block(above + channels_in, width, config=config))
            above = width
        for width in config.channels[:0:-1]:
            self.transitions.append(ConvNormAct(width, width, 1, act=config.act))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone to as many maps, finest first."""
        return top_down([*maps[:-1], self.pool(maps[-1])], self.blocks, list(self.transitions))


def _block(channels_in: int, width: int, *, config: PpyoloTinyFpnConfig) -> RouteAndTip:
    act = config.act
    route = nn.Sequential(
        *([DropBlock(config.drop_block_size, config.keep)] if config.drop_block else []),
        ConvNormAct(channels_in, width, 1, act=act),
        ConvNormAct(width, width, _KERNEL, groups=width, act=act),
        ConvNormAct(width, width, 1, act=act),
        ConvNormAct(width, width, _KERNEL, groups=width, act=act),
    )
    return RouteAndTip(route, ConvNormAct(width, width, 1, act=act))
