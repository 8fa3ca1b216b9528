"""Path aggregation of YOLOR-CSP (YOLOv4-CSP's) and of YOLOR-ELAN (YOLOv7's): the same paths with other blocks.

Scaled-YOLOv4, https://arxiv.org/abs/2011.08036; https://arxiv.org/abs/2211.04800, section 4.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.batchnorm import YOLO_EPS, YOLO_MOMENTUM, set_batchnorm
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.csp import CspFusion, CspPyramidPool
from sanderling.models.layers.elan import DoubleDown, Elan
from sanderling.models.necks.levels import expect_doubling
from sanderling.models.necks.resize import nearest_like

Even = Annotated[int, Field(gt=0, multiple_of=2)]


@dataclass(frozen=True, kw_only=True, slots=True)
class CspBlocks:
    """YOLOR-CSP: cross stage partial blocks; 3x3 of stride 2 on the way up."""

    kind: Literal["csp"] = "csp"
    repeats: Annotated[int, Field(gt=0)] = 2

    def block(self, channels_in: int, channels_out: int, act: Activation) -> nn.Module:
        """What joins two levels."""
        return CspFusion(channels_in, channels_out, repeats=self.repeats, act=act)

    def down(self, channels_in: int, channels_out: int, act: Activation) -> nn.Module:
        """What halves the resolution."""
        return ConvNormAct(channels_in, channels_out, 3, stride=2, act=act)


@dataclass(frozen=True, kw_only=True, slots=True)
class ElanBlocks:
    """YOLOR-ELAN: layer aggregation; stride 2 in two ways at once."""

    kind: Literal["elan"] = "elan"
    stack: Literal[1, 2] = 1
    """3x3 convolutions between two that are joined; of each block's four, with one they have half the width."""

    def block(self, channels_in: int, channels_out: int, act: Activation) -> nn.Module:
        """What joins two levels."""
        chain = channels_out * self.stack // 2
        return Elan(channels_in, channels_out, width=channels_out, chain=chain, stack=self.stack, act=act)

    def down(self, channels_in: int, channels_out: int, act: Activation) -> nn.Module:
        """What halves the resolution."""
        return DoubleDown(channels_in, channels_out // 2, act=act)


@dataclass(frozen=True, kw_only=True, slots=True)
class YolorPanConfig:
    """Width of each level inside the neck, finest first; it hands on twice as many channels."""

    kind: Literal["yolor_pan"] = "yolor_pan"
    channels: tuple[Even, Even, Even] = (128, 256, 512)
    blocks: Annotated[CspBlocks | ElanBlocks, Field(discriminator="kind")] = CspBlocks()
    act: Activation = "silu"

    def build(self, features: FeatureSpec) -> YolorPan:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: there are not three levels, each of twice the stride before it.
        """
        expect_doubling(features, kind=self.kind, levels=3)
        return YolorPan(features, config=self)


class YolorPan(nn.Module):
    """Pyramid pooling on the coarsest level; down and up again with laterals; a 3x3 before each prediction."""

    def __init__(self, features: FeatureSpec, *, config: YolorPanConfig) -> None:
        super().__init__()
        fine, middle, coarse = config.channels
        self.features = FeatureSpec((2 * fine, 2 * middle, 2 * coarse), features.strides)
        blocks, act = config.blocks, config.act
        self.pool = CspPyramidPool(features.channels[2], coarse, act=act)
        # Rows of one, for the names that weights have.
        self.coarse_up = nn.Sequential(ConvNormAct(coarse, middle, 1, act=act))
        self.middle_lateral = ConvNormAct(features.channels[1], middle, 1, act=act)
        self.middle_down = blocks.block(2 * middle, middle, act)
        self.middle_up = nn.Sequential(ConvNormAct(middle, fine, 1, act=act))
        self.fine_lateral = ConvNormAct(features.channels[0], fine, 1, act=act)
        self.fine = blocks.block(2 * fine, fine, act)
        self.fine_to_middle = blocks.down(fine, middle, act)
        self.middle = blocks.block(2 * middle, middle, act)
        self.middle_to_coarse = blocks.down(middle, coarse, act)
        self.coarse = blocks.block(2 * coarse, coarse, act)
        self.outs = nn.ModuleList(ConvNormAct(width, 2 * width, 3, act=act) for width in config.channels)
        set_batchnorm(self, eps=YOLO_EPS, momentum=YOLO_MOMENTUM)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Three maps of the backbone to as many of the same sizes, finest first."""
        coarse = self.pool(maps[2])
        above = nearest_like(self.coarse_up(coarse), maps[1])
        middle = self.middle_down(torch.cat((self.middle_lateral(maps[1]), above), 1))
        above = nearest_like(self.middle_up(middle), maps[0])
        fine = self.fine(torch.cat((self.fine_lateral(maps[0]), above), 1))
        middle = self.middle(torch.cat((self.fine_to_middle(fine), middle), 1))
        coarse = self.coarse(torch.cat((self.middle_to_coarse(middle), coarse), 1))
        return [out(x) for out, x in zip(self.outs, (fine, middle, coarse), strict=True)]
