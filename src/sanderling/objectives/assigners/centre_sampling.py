"""Centre sampling: a box is learnt by the points near its middle, on the level whose reach its size fits.

FCOS, https://arxiv.org/abs/1904.01355 and its journal version 2006.09214. Axes: T boxes of all pictures, A points,
P positive points.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sanderling.objectives.assigners.assignment import Assignment
from sanderling.ops.tensor.iou import area
from sanderling.structures.batch import Targets


def assign_centre_sampling(
    targets: Targets, priors_cxcywh: Tensor, strides: Tensor, *, radius: float = 1.5, reach: float = 8.0
) -> Assignment:
    """Choose the positive points of every picture at once.

    A point learns a box when it lies inside it and within `radius` cells of its middle, and when the farthest of the
    four sides is at most `reach` cells away and more than half of that (the finest level takes all smaller boxes, the
    coarsest all larger ones). A point that several boxes want goes to the smallest, and to the first of those that are
    equal. A box too small to hold a point has no positives.

    Args:
        targets: boxes in pixels of the network input.
        priors_cxcywh: (A, 4), pixels; only the centres count.
        strides: (A), pixels per cell.
        radius: in cells.
        reach: in cells; 8 gives FCOS's 64, 128, 256 and 512 pixels.
    """
    boxes = targets.boxes_xyxy[:, None]
    points = priors_cxcywh[:, :2]
    distances = torch.cat((points - boxes[..., :2], boxes[..., 2:] - points), -1)
    offsets = points - (boxes[..., :2] + boxes[..., 2:]) / 2
    near = (offsets.abs().amax(-1) < radius * strides) & (distances.amin(-1) > 0)
    farthest = distances.amax(-1)
    lower = torch.where(strides == strides.min(), 0.0, strides * reach / 2)
    upper = torch.where(strides == strides.max(), torch.inf, strides * reach)
    wanted = near & (farthest > lower) & (farthest <= upper)

    box, point = wanted.nonzero(as_tuple=True)
    count = len(targets.boxes_xyxy)
    # Boxes by size: the smallest has the lowest rank, equal ones keep their order.
    by_size = area(targets.boxes_xyxy).argsort(stable=True)
    rank = torch.empty_like(by_size).scatter_(0, by_size, torch.arange(count, device=by_size.device))
    cell = targets.picture_index[box] * len(strides) + point
    best = rank.new_full((targets.pictures * len(strides),), count).scatter_reduce(0, cell, rank[box], "amin")
    taken = (best < count).nonzero()[:, 0]
    return Assignment(pictures=taken // len(strides), points=taken % len(strides), boxes=by_size[best[taken]])
