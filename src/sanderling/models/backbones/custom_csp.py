"""NanoDet-g's backbone: cross-stage partial blocks of plain 3x3 convolutions, for NPUs that dislike depthwise ones.

https://github.com/RangiLyu/nanodet, v0.3; the idea of CSPNet, https://arxiv.org/abs/1911.11929. Every block doubles its
channels by handing its input on beside what it made of it.
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

Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomCspConfig:
    """Channels after the stem, and residual pairs in each of the four blocks."""

    kind: Literal["custom_csp"] = "custom_csp"
    stem: Annotated[int, Field(gt=0, multiple_of=2)] = 32
    pairs: tuple[Count, Count, Count, Count] = (1, 2, 2, 3)
    act: Activation = "leaky_relu"

    def build(self) -> CustomCsp:
        """Make the backbone with freshly drawn weights."""
        return CustomCsp(stem=self.stem, pairs=self.pairs, act=self.act)


class CustomCsp(nn.Module):
    """A convolution and a pooling (stride 4), then blocks of strides 4, 8, 16 and 32; the last three are handed on."""

    def __init__(self, *, stem: int, pairs: tuple[int, int, int, int], act: Activation) -> None:
        super().__init__()
        self.features = FeatureSpec((4 * stem, 8 * stem, 16 * stem), (8, 16, 32))
        self.stages = nn.ModuleList(
            [
                ConvNormAct(3, stem, 3, stride=2, act=act),
                nn.MaxPool2d(3, 2, 1),
                *(
                    CspBlock(stem * 2**block, pairs=count, stride=2 if block else 1, act=act)
                    for block, count in enumerate(pairs)
                ),
            ]
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="leaky_relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps of strides 8, 16 and 32."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[-3:]


class CspBlock(nn.Module):
    """A convolution; its output goes on untouched, and beside it through residual pairs and another convolution."""

    def __init__(self, channels: int, *, pairs: int, stride: int, act: Activation) -> None:
        super().__init__()
        self.in_conv = ConvNormAct(channels, channels, 3, stride=stride, act=act)
        self.res_blocks = nn.Sequential(*(_Pair(channels, act=act) for _ in range(pairs)))
        self.res_out_conv = ConvNormAct(channels, channels, 3, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, 2 * channels, ceil(H / stride), ceil(W / stride)), what was made of it first."""
        x = self.in_conv(x)
        return torch.cat((self.res_out_conv(self.res_blocks(x)), x), 1)


class _Pair(nn.Module):
    """A convolution to half of the channels and another on that, side by side."""

    def __init__(self, channels: int, *, act: Activation) -> None:
        super().__init__()
        self.in_conv = ConvNormAct(channels, channels // 2, 3, act=act)
        self.mid_conv = ConvNormAct(channels // 2, channels // 2, 3, act=act)

    def forward(self, x: Tensor) -> Tensor:
        x = self.in_conv(x)
        return torch.cat((self.mid_conv(x), x), 1)
