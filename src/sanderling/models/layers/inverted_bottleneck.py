"""Inverted bottleneck of MobileDet: narrow, wide, narrow, with a depthwise convolution in the middle.

MobileDets, https://arxiv.org/abs/2004.14525, as in its released code (TensorFlow object detection API). Unlike
MobileNetV2's, ends are added where the table of the network says so, and never because shapes happen to agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.layers.bottleneck_style import BottleneckStyle


@dataclass(frozen=True, kw_only=True, slots=True)
class Ibn:
    """An inverted bottleneck as a value."""

    kind: Literal["ibn"] = "ibn"
    channels: Annotated[int, Field(gt=0)]
    """Of the output."""
    kernel: Literal[3, 5, 7] = 3
    stride: Literal[1, 2] = 1
    expansion: Annotated[int, Field(ge=1)] = 8
    """Width of the middle in widths of the input; 1 leaves the first 1x1 out."""
    residual: bool = False
    """Add the input to the output; both must have the same shape."""

    def build(self, channels_in: int, *, style: BottleneckStyle) -> InvertedBottleneck:
        """Make the block for an input of so many channels."""
        return InvertedBottleneck(channels_in, self, style=style)


class InvertedBottleneck(nn.Module):
    """[1x1 to the expanded width], depthwise kxk, [squeeze and excitation], linear 1x1."""

    def __init__(self, channels_in: int, block: Ibn, *, style: BottleneckStyle) -> None:
        super().__init__()
        expanded = channels_in * block.expansion
        self.expand = style.conv(channels_in, expanded, 1) if block.expansion > 1 else None
        self.depthwise = style.conv(expanded, expanded, block.kernel, stride=block.stride, groups=expanded)
        self.squeeze = style.squeeze_excite(expanded)
        self.project = style.linear(expanded, block.channels)
        self.residual = style.residual(block.residual, channels=(channels_in, block.channels), stride=block.stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels, ceil(H / stride), ceil(W / stride))."""
        inner = x if self.expand is None else self.expand(x)
        inner = self.depthwise(inner)
        if self.squeeze is not None:
            inner = self.squeeze(inner)
        inner = self.project(inner)
        return x + inner if self.residual else inner
