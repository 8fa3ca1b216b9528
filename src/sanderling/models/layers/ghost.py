"""Ghost convolutions: half of the channels by a 1x1 convolution, the other half from these by a cheap depthwise one.

GhostNet, https://arxiv.org/abs/1911.11907.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sanderling.models.layers.activations import Activation, activation


class GhostConv(nn.Module):
    """1x1 to half of `channels_out`, a depthwise 3x3 on that for the other half, side by side."""

    def __init__(self, channels_in: int, channels_out: int, *, act: Activation) -> None:
        super().__init__()
        half = channels_out // 2
        self.primary_conv = nn.Sequential(
            nn.Conv2d(channels_in, half, 1, bias=False), nn.BatchNorm2d(half), activation(act)
        )
        self.cheap_operation = nn.Sequential(
            nn.Conv2d(half, half, 3, 1, 1, groups=half, bias=False), nn.BatchNorm2d(half), activation(act)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H, W); `channels_out` is even."""
        first = self.primary_conv(x)
        return torch.cat((first, self.cheap_operation(first)), 1)


class GhostBottleneck(nn.Module):
    """Two ghost convolutions, the second without activation, beside a depthwise-separable shortcut without any."""

    def __init__(self, channels_in: int, channels_out: int, *, shortcut_kernel: int, act: Activation) -> None:
        super().__init__()
        self.ghost1 = GhostConv(channels_in, channels_out, act=act)
        self.ghost2 = GhostConv(channels_out, channels_out, act="identity")
        self.shortcut = nn.Sequential(
            nn.Conv2d(
                channels_in, channels_in, shortcut_kernel, 1, shortcut_kernel // 2, groups=channels_in, bias=False
            ),
            nn.BatchNorm2d(channels_in),
            nn.Conv2d(channels_in, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H, W)."""
        return self.ghost2(self.ghost1(x)) + self.shortcut(x)
