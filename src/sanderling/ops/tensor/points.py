"""The grid of points that a dense head speaks for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def grid_priors(
    size_hw: tuple[int, int], strides: Sequence[int], *, scale: float, offset: float = 0.5, device: torch.device
) -> tuple[Tensor, Tensor]:
    """One square prior per cell, levels by stride, cells row-major.

    Args:
        size_hw: height and width of the network input; a level has ceil(size / stride) cells a side.
        strides: pixels per cell of each level.
        scale: side of the prior in cells.
        offset: place of the centre inside the cell, in cells.
        device: where the tensors are made.

    Returns:
        priors_cxcywh (A, 4) in pixels and strides (A).
    """
    priors, per_point = [], []
    for stride in strides:
        rows, columns = -(-size_hw[0] // stride), -(-size_hw[1] // stride)
        y = (torch.arange(rows, device=device, dtype=torch.float32) + offset) * stride
        x = (torch.arange(columns, device=device, dtype=torch.float32) + offset) * stride
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        side = torch.full_like(grid_x, scale * stride)
        priors.append(torch.stack((grid_x, grid_y, side, side), -1).reshape(-1, 4))
        per_point.append(torch.full((rows * columns,), float(stride), device=device))
    return torch.cat(priors), torch.cat(per_point)
