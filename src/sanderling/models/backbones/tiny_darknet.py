"""The backbone of YOLOv3-tiny: 3x3 convolutions with pooling between them; with a partial residual at its end, PRN's.

YOLOv3, https://arxiv.org/abs/1804.02767; PRN, "Enriching Variety of Layer-wise Learning Information by Gradient
Combination", ICCV workshops 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation, activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.even_pool import EvenPool


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyDarknetConfig:
    """Width and how it ends."""

    kind: Literal["tiny_darknet"] = "tiny_darknet"
    width: Annotated[int, Field(gt=0)] = 16
    """Channels of the first convolution; they double with each of the next five."""
    residual: bool = False
    """The last convolution keeps the channels and adds what the pool before it got (PRN); else it doubles them."""
    act: Activation = "leaky_relu"

    def build(self) -> TinyDarknet:
        """Make the backbone with freshly drawn weights."""
        return TinyDarknet(width=self.width, residual=self.residual, act=self.act)


class TinyDarknet(nn.Module):
    """Six convolutions with a pool after each, the last one of stride 1, and a seventh; maps of strides 16 and 32."""

    def __init__(self, *, width: int, residual: bool, act: Activation) -> None:
        super().__init__()
        fine, coarse = 16 * width, 32 * width
        self.features = FeatureSpec((fine, coarse if residual else 2 * coarse), (16, 32))
        layers: list[nn.Module] = [ConvNormAct(3, width, 3, act=act)]
        for factor in (2, 4, 8, 16):
            layers += [nn.MaxPool2d(2, 2), ConvNormAct(width * factor // 2, width * factor, 3, act=act)]
        self.stride16 = nn.Sequential(*layers)
        self.stride32 = nn.Sequential(nn.MaxPool2d(2, 2), ConvNormAct(fine, coarse, 3, act=act))
        self.pool = EvenPool()
        self.last = ConvNormAct(coarse, self.features.channels[1], 3, act=act)
        self.after_add = activation(act) if residual else None

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps of strides 16 and 32."""
        fine = self.stride16(x)
        coarse = self.stride32(fine)
        last = self.last(self.pool(coarse))
        return [fine, last if self.after_add is None else self.after_add(last + coarse)]
