"""Efficient layer aggregation: a chain of 3x3 convolutions of which every so many outputs are joined.

ELAN, https://arxiv.org/abs/2211.04800, and YOLOv7's way to halve the resolution, https://arxiv.org/abs/2207.02696.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct


class Elan(nn.Module):
    """1x1 that crosses, 1x1 that starts a chain of 3x3, the joint of both and of every `stack`-th 3x3, 1x1.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
        width: channels of each of the first two 1x1.
        chain: channels of each 3x3.
        depth: number of 3x3, a multiple of `stack`.
        stack: 3x3 between two outputs that are joined.
        act: after each convolution.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        width: int,
        chain: int,
        depth: int = 4,
        stack: int = 2,
        act: Activation,
    ) -> None:
        super().__init__()
        self.cross = ConvNormAct(channels_in, width, 1, act=act)
        self.enter = ConvNormAct(channels_in, width, 1, act=act)
        widths = [width, *([chain] * depth)]
        convs = [ConvNormAct(before, chain, 3, act=act) for before in widths[:-1]]
        self.stacks = nn.ModuleList(nn.Sequential(*convs[first : first + stack]) for first in range(0, depth, stack))
        self.join = ConvNormAct(2 * width + len(self.stacks) * chain, channels_out, 1, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H, W); the newest output stands first in the joint."""
        joined = [self.cross(x), self.enter(x)]
        for stack in self.stacks:
            joined.append(stack(joined[-1]))
        return self.join(torch.cat(joined[::-1], 1))


class DoubleDown(nn.Module):
    """Half the resolution in two ways: 1x1 and 3x3 of stride 2, beside maximum of two and 1x1.

    Args:
        channels_in: channels of the input.
        width: channels of each way.
        act: after each convolution.
    """

    def __init__(self, channels_in: int, width: int, *, act: Activation) -> None:
        super().__init__()
        self.strided = nn.Sequential(
            ConvNormAct(channels_in, width, 1, act=act), ConvNormAct(width, width, 3, stride=2, act=act)
        )
        self.pooled = nn.Sequential(nn.MaxPool2d(2, 2), ConvNormAct(channels_in, width, 1, act=act))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, 2 * width, H / 2, W / 2), sides rounded up."""
        cut = (0, x.shape[-1] % 2, 0, x.shape[-2] % 2)
        # Of a side that is cut in half unevenly, the strided way reaches over the end; so does pooling then.
        even = F.pad(x, cut, mode="replicate") if any(cut) else x
        return torch.cat((self.strided(x), self.pooled(even)), 1)
