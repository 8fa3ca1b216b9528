"""Fused inverted bottleneck of MobileDet: one full convolution instead of the expansion and the depthwise one.

MobileDets, https://arxiv.org/abs/2004.14525. A full convolution costs more multiply-adds and on many accelerators less
time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.layers.bottleneck_style import BottleneckStyle


@dataclass(frozen=True, kw_only=True, slots=True)
class FusedIbn:
    """A fused inverted bottleneck as a value."""

    kind: Literal["fused_ibn"] = "fused_ibn"
    channels: Annotated[int, Field(gt=0)]
    """Of the output."""
    kernel: Literal[3, 5, 7] = 3
    stride: Literal[1, 2] = 1
    expansion: Annotated[int, Field(ge=2)] = 8
    """Width of the middle in widths of the input."""
    residual: bool = False
    """Add the input to the output; both must have the same shape."""

    def build(self, channels_in: int, *, style: BottleneckStyle) -> FusedInvertedBottleneck:
        """Make the block for an input of so many channels."""
        return FusedInvertedBottleneck(channels_in, self, style=style)


class FusedInvertedBottleneck(nn.Module):
    """Full kxk to the expanded width, [squeeze and excitation], linear 1x1."""

    def __init__(self, channels_in: int, block: FusedIbn, *, style: BottleneckStyle) -> None:
        super().__init__()
        expanded = channels_in * block.expansion
        self.expand = style.conv(channels_in, expanded, block.kernel, stride=block.stride)
        self.squeeze = style.squeeze_excite(expanded)
        self.project = style.linear(expanded, block.channels)
        self.residual = style.residual(block.residual, channels=(channels_in, block.channels), stride=block.stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels, ceil(H / stride), ceil(W / stride))."""
        inner = self.expand(x)
        if self.squeeze is not None:
            inner = self.squeeze(inner)
        inner = self.project(inner)
        return x + inner if self.residual else inner
