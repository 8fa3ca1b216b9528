"""YOLOv3's neck as YOLOR-v3 and YOLOR-PRN have it, with or without spatial pyramid pooling: three levels, top-down.

https://arxiv.org/abs/2211.04800, section 4.1. Each level passes half of its channels on and predicts from all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.batchnorm import YOLO_EPS, YOLO_MOMENTUM, set_batchnorm
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.darknet_block import DarknetBlock
from sanderling.models.layers.pyramid_pool import PyramidPool
from sanderling.models.necks.levels import expect_doubling
from sanderling.models.necks.resize import nearest_like


@dataclass(frozen=True, kw_only=True, slots=True)
class YolorFpnConfig:
    """Widths follow the backbone's."""

    kind: Literal["yolor_fpn"] = "yolor_fpn"
    spp: bool = True
    act: Activation = "silu"

    def build(self, features: FeatureSpec) -> YolorFpn:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: there are not three levels, each of twice the stride before it and an even number of channels.
        """
        expect_doubling(features, kind=self.kind, levels=3)
        if any(width % 2 for width in features.channels):
            raise ModelError(
                f"neck.kind = {self.kind!r}: gets levels of {', '.join(map(str, features.channels))} channels and "
                "halves them; choose a backbone with even numbers of channels"
            )
        return YolorFpn(features, spp=self.spp, act=self.act)


class YolorFpn(nn.Module):
    """Per level blocks without identities, a 1x1 to what is passed on, a 3x3 to what is predicted from."""

    def __init__(self, features: FeatureSpec, *, spp: bool, act: Activation) -> None:
        super().__init__()
        self.features = features
        fine, middle, coarse = features.channels

        def block(channels_in: int, channels_out: int) -> DarknetBlock:
            return DarknetBlock(channels_in, channels_out, hidden=channels_out // 2, share=0, act=act)

        def conv(channels_in: int, channels_out: int, kernel: int) -> ConvNormAct:
            return ConvNormAct(channels_in, channels_out, kernel, act=act)

        pooled = [PyramidPool((5, 9, 13)), conv(2 * coarse, coarse // 2, 1)] if spp else []
        self.coarse = nn.Sequential(
            block(coarse, coarse),
            conv(coarse, coarse // 2, 1),
            *pooled,
            conv(coarse // 2, coarse, 3),
            conv(coarse, coarse // 2, 1),
        )
        self.coarse_out = conv(coarse // 2, coarse, 3)
        # Rows of one, for the names that weights have.
        self.coarse_up = nn.Sequential(conv(coarse // 2, middle // 2, 1))
        self.middle = nn.Sequential(
            block(middle // 2 + middle, middle), block(middle, middle), conv(middle, middle // 2, 1)
        )
        self.middle_out = conv(middle // 2, middle, 3)
        self.middle_up = nn.Sequential(conv(middle // 2, fine // 2, 1))
        self.fine = nn.Sequential(block(fine // 2 + fine, fine), block(fine, fine), block(fine, fine))
        set_batchnorm(self, eps=YOLO_EPS, momentum=YOLO_MOMENTUM)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Three maps of the backbone to as many of the same sizes and channels, finest first."""
        fine, middle, coarse = maps
        coarse = self.coarse(coarse)
        middle = self.middle(torch.cat((nearest_like(self.coarse_up(coarse), middle), middle), 1))
        fine = self.fine(torch.cat((nearest_like(self.middle_up(middle), fine), fine), 1))
        return [fine, self.middle_out(middle), self.coarse_out(coarse)]
