"""Tucker convolution of MobileDet: a full convolution between two 1x1 ones that narrow and widen.

MobileDets, https://arxiv.org/abs/2004.14525: the bottleneck of ResNet with an inner width of its own on either side of
the full convolution, as a Tucker decomposition of its kernel has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.layers.bottleneck_style import BottleneckStyle
from sanderling.models.layers.rounding import nearest_multiple

Ratio = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tucker:
    """A Tucker convolution as a value."""

    kind: Literal["tucker"] = "tucker"
    channels: Annotated[int, Field(gt=0)]
    """Of the output."""
    kernel: Literal[3, 5, 7] = 3
    stride: Literal[1, 2] = 1
    ratio_in: Ratio = 0.25
    """Inner width before the full convolution, as a share of the input's."""
    ratio_out: Ratio = 0.25
    """Inner width after it, as a share of the output's."""
    residual: bool = False
    """Add the input to the output; both must have the same shape."""

    def build(self, channels_in: int, *, style: BottleneckStyle) -> TuckerConv:
        """Make the block for an input of so many channels."""
        return TuckerConv(channels_in, self, style=style)


class TuckerConv(nn.Module):
    """1x1 down, full kxk, linear 1x1 up; inner widths are multiples of eight."""

    def __init__(self, channels_in: int, block: Tucker, *, style: BottleneckStyle) -> None:
        super().__init__()
        rank_in = nearest_multiple(channels_in * block.ratio_in)
        rank_out = nearest_multiple(block.channels * block.ratio_out)
        self.compress = style.conv(channels_in, rank_in, 1)
        self.full = style.conv(rank_in, rank_out, block.kernel, stride=block.stride)
        self.project = style.linear(rank_out, block.channels)
        self.residual = style.residual(block.residual, channels=(channels_in, block.channels), stride=block.stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels, ceil(H / stride), ceil(W / stride))."""
        inner = self.project(self.full(self.compress(x)))
        return x + inner if self.residual else inner
