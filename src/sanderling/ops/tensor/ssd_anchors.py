"""SSD's priors: sizes are shares of the picture's shorter side and grow evenly from level to level.

SSD, https://arxiv.org/abs/1512.02325, as TensorFlow's object detection API generates them. Axes: A points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

ScaleRatio = tuple[float, float]
"""Side of a square of the same area as a share of the shorter side of the picture, and width over height."""

_FINEST = 0.1
"""Scale of the small square on the finest level."""


def ssd_anchors(
    levels: int, *, smallest: float, largest: float, ratios: Sequence[float]
) -> tuple[tuple[ScaleRatio, ...], ...]:
    """The anchors of a cell, per level from the finest on.

    A level has one anchor per ratio at its scale and a square between its scale and the next one's. The finest level,
    which has most of the cells, has three only.

    >>> ssd_anchors(2, smallest=0.2, largest=0.95, ratios=(1.0, 2.0))[0]
    ((0.1, 1.0), (0.2, 2.0), (0.2, 0.5))
    """
    step = (largest - smallest) / max(levels - 1, 1)
    scales = [smallest + step * level for level in range(levels)] + [1.0]
    finest = ((_FINEST, 1.0), (scales[0], 2.0), (scales[0], 0.5))
    coarser = (
        (*((scale, ratio) for ratio in ratios), (math.sqrt(scale * after), 1.0))
        for scale, after in itertools.pairwise(scales[1:])
    )
    return finest, *coarser


def ssd_priors(
    size_hw: tuple[int, int],
    grids_hw: Sequence[tuple[int, int]],
    anchors: Sequence[Sequence[ScaleRatio]],
    *,
    device: torch.device,
) -> Tensor:
    """Several priors per cell: levels from the finest on, cells row-major, the anchors of a cell one after another.

    Cells divide the picture evenly, so that on a level whose cells do not fit into the picture a whole number of times
    they are somewhat smaller than the stride says. Priors reach over the border.

    Args:
        size_hw: height and width of the network input.
        grids_hw: rows and columns of each level.
        anchors: of each level.
        device: where the tensor is made.

    Returns:
        priors_cxcywh (A, 4) in pixels.
    """
    side = min(size_hw)
    priors = []
    for (rows, columns), level in zip(grids_hw, anchors, strict=True):
        y = (torch.arange(rows, device=device, dtype=torch.float32) + 0.5) * (size_hw[0] / rows)
        x = (torch.arange(columns, device=device, dtype=torch.float32) + 0.5) * (size_hw[1] / columns)
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        centres = torch.stack((grid_x, grid_y), -1).reshape(-1, 1, 2).expand(-1, len(level), -1)
        sides = [(side * scale * math.sqrt(ratio), side * scale / math.sqrt(ratio)) for scale, ratio in level]
        sizes = torch.tensor(sides, dtype=torch.float32, device=device).expand(len(centres), -1, -1)
        priors.append(torch.cat((centres, sizes), -1).reshape(-1, 4))
    return torch.cat(priors)
