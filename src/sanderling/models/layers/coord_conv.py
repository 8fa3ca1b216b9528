"""Convolution that knows where it is: two more input channels hold the column and the row, https://arxiv.org/abs/1807.03247.

Axes: B pictures, H rows, W columns.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct

CoordGrid = Literal["symmetric", "left"]
"""First to last column (and row): -1 to 1 (the paper, PaddleDetection 0.x), or -1 to -0.5 (PaddleDetection 2.x)."""


class CoordConv(nn.Module):
    """`ConvNormAct` that sees the columns and rows behind the channels of its input."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, *, grid: CoordGrid, act: Activation) -> None:
        super().__init__()
        self.grid = grid
        self.block = ConvNormAct(channels_in + 2, channels_out, kernel, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H, W)."""
        return self.block(torch.cat((x, coordinates_like(x, self.grid)), 1))


def coordinates_like(x: Tensor, grid: CoordGrid) -> Tensor:
    """Columns and rows (B, 2, H, W) of a map (B, C, H, W); a single column or row stands at -1."""
    height, width = x.shape[-2:]
    columns, rows = (_axis(length, grid, x) for length in (width, height))
    both = torch.stack((columns.expand(height, width), rows[:, None].expand(height, width)))
    return both.expand(x.shape[0], 2, height, width)


def _axis(length: int, grid: CoordGrid, like: Tensor) -> Tensor:
    share = torch.arange(length, dtype=like.dtype, device=like.device) / max(length - 1, 1)
    return share * 2 - 1 if grid == "symmetric" else share / 2 - 1
