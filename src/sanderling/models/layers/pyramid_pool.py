"""Spatial pyramid pooling: a map beside its maxima over windows of several sizes.

SPP, https://arxiv.org/abs/1406.4729, at stride 1 as YOLOv3-SPP has it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PyramidPool(nn.Module):
    """The input and its maxima over square windows of odd sides, side by side in the order of `kernels`.

    Args:
        kernels: the sides.
        input_last: the other way round, as darknet's routes have it: the last kernel first, the input at the end.
    """

    def __init__(self, kernels: Sequence[int], *, input_last: bool = False) -> None:
        super().__init__()
        self.input_last = input_last
        self.pools = nn.ModuleList(nn.MaxPool2d(kernel, 1, kernel // 2) for kernel in kernels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C * (1 + kernels), H, W)."""
        maps = [x, *(pool(x) for pool in self.pools)]
        return torch.cat(maps[::-1] if self.input_last else maps, 1)
