"""The backbone of YOLOv4-tiny: one-shot aggregation inside a cross-stage partial stage.

Scaled-YOLOv4, section 4.2, https://arxiv.org/abs/2011.08036; the stages are those of CSPNet,
https://arxiv.org/abs/1911.11929, the aggregation is VoVNet's, https://arxiv.org/abs/1904.09730.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec, expect_strides
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct

_STRIDES = (4, 8, 16, 32)


@dataclass(frozen=True, kw_only=True, slots=True)
class CspTinyConfig:
    """Width and which maps are handed on."""

    kind: Literal["csp_tiny"] = "csp_tiny"
    width: Annotated[int, Field(gt=0, multiple_of=2)] = 32
    """Channels of the first convolution; all others follow."""
    strides: tuple[int, ...] = (16, 32)
    """Strides of the maps, finest first, out of 4, 8, 16 and 32: what the last 1x1 of a block gives, and at 32 the last
    convolution. What comes after the last one is left out."""
    act: Activation = "leaky_relu"

    def build(self) -> CspTiny:
        """Make the backbone with freshly drawn weights.

        Raises:
            ModelError: the strides are not some of 4, 8, 16 and 32, finest first.
        """
        return CspTiny(width=self.width, strides=self.strides, act=self.act)


class CspTiny(nn.Module):
    """Two strided convolutions, three blocks with pooling between them, one convolution at stride 32."""

    def __init__(self, *, width: int, strides: tuple[int, ...], act: Activation) -> None:
        super().__init__()
        expect_strides(strides, _STRIDES)
        self.stem = nn.Sequential(
            ConvNormAct(3, width, 3, stride=2, act=act), ConvNormAct(width, 2 * width, 3, stride=2, act=act)
        )
        channels, given = 2 * width, {}
        for stride in _STRIDES[: _STRIDES.index(strides[-1]) + 1]:
            stage = ConvNormAct(channels, channels, 3, act=act) if stride == 32 else PartialBlock(channels, act=act)
            self.add_module(f"stride{stride}", stage)
            given[stride] = channels
            channels *= 2
        self.pool = nn.MaxPool2d(2, 2)
        self.features = FeatureSpec(tuple(given[stride] for stride in strides), strides)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to one map per asked stride, finest first."""
        x, maps = self.stem(x), []
        for stride in _STRIDES[: _STRIDES.index(self.features.strides[-1]) + 1]:
            stage = self.get_submodule(f"stride{stride}")
            if stride == 32:
                tapped = stage(x)
            else:
                first, tapped = stage(x)
                x = self.pool(torch.cat((first, tapped), 1))
            if stride in self.features.strides:
                maps.append(tapped)
        return maps


class PartialBlock(nn.Module):
    """A 3x3; two 3x3 in a chain on the second half of its channels; a 1x1 on both of these."""

    def __init__(self, channels: int, *, act: Activation) -> None:
        super().__init__()
        half = channels // 2
        self.passed = half
        self.first = ConvNormAct(channels, channels, 3, act=act)
        self.chain = nn.ModuleList([ConvNormAct(half, half, 3, act=act), ConvNormAct(half, half, 3, act=act)])
        self.transition = ConvNormAct(2 * half, channels, 1, act=act)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) to the first convolution's output and the last one's, each (B, C, H, W)."""
        first = self.first(x)
        one = self.chain[0](first[:, self.passed :])
        two = self.chain[1](one)
        return first, self.transition(torch.cat((two, one), 1))
