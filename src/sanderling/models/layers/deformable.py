"""Deformable convolution: a kernel whose nine places are moved by what the map itself says.

Version 1 moves them, https://arxiv.org/abs/1703.06211; version 2 weighs them too, https://arxiv.org/abs/1811.11168.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn


class DeformableConv(nn.Module):
    """Convolution without bias at moved places; a side convolution of the same geometry says where and how much.

    The side convolution starts at zero: an ordinary convolution, in version 2 at half its strength. Its channels are
    first y and x of every place, row by row, then (version 2) the weights before their sigmoid.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
        kernel: side of the kernel.
        stride: of both convolutions.
        version: 2 weighs the places.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int = 3, *, stride: int = 1, version: Literal[1, 2] = 2
    ) -> None:
        super().__init__()
        # Only here, because torchvision takes long to load and few networks need it.
        from torchvision.ops import deform_conv2d

        self._convolve = deform_conv2d
        self.stride, self.padding = stride, kernel // 2
        self.offsets, self.masks = 2 * kernel * kernel, kernel * kernel if version == 2 else 0
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in, kernel, kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.offset = nn.Conv2d(channels_in, self.offsets + self.masks, kernel, stride, self.padding)
        for parameter in self.offset.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, ceil(H / stride), ceil(W / stride))."""
        # Under autocast the side convolution is in another precision, which torchvision's operation does not mix.
        precision = self.weight.dtype
        offset, mask = self.offset(x).to(precision).split([self.offsets, self.masks], 1)
        return self._convolve(
            x.to(precision),
            offset,
            self.weight,
            stride=self.stride,
            padding=self.padding,
            mask=mask.sigmoid() if self.masks else None,
        )
