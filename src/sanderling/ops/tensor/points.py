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


def anchor_priors(
    size_hw: tuple[int, int],
    strides: Sequence[int],
    anchors_wh: Sequence[Sequence[tuple[float, float]]],
    *,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Several priors per cell: levels by stride, cells row-major, the anchors of a cell one after another.

    Args:
        size_hw: height and width of the network input; a level has ceil(size / stride) cells a side.
        strides: pixels per cell of each level.
        anchors_wh: per level the anchors' widths and heights in pixels.
        device: where the tensors are made.

    Returns:
        priors_cxcywh (A, 4) in pixels, centred in their cells, and strides (A).
    """
    priors, per_point = [], []
    for stride, level in zip(strides, anchors_wh, strict=True):
        cells, _ = grid_priors(size_hw, [stride], scale=1.0, device=device)
        sizes = torch.tensor(level, dtype=torch.float32, device=device)
        pairs = torch.cat((cells[:, None, :2].expand(-1, len(level), -1), sizes[None].expand(len(cells), -1, -1)), -1)
        priors.append(pairs.reshape(-1, 4))
        per_point.append(torch.full((len(cells) * len(level),), float(stride), device=device))
    return torch.cat(priors), torch.cat(per_point)
