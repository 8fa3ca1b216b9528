"""Adaptive training sample selection: near points whose prior overlaps a box more than is usual for that box.

https://arxiv.org/abs/1912.02424, as NanoDet uses it. Axes: T boxes of all pictures, A points, K candidates per box,
P positive points.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sanderling.objectives.assigners.assignment import Assignment
from sanderling.ops.tensor.iou import aligned_iou
from sanderling.structures.batch import Targets

# A point counts as inside a box when it is farther than this from every side, in pixels.
_INSIDE = 0.01


def assign_atss(
    targets: Targets, priors_cxcywh: Tensor, strides: Tensor, *, candidates_per_level: int = 9
) -> Assignment:
    """Choose the positive points of every picture at once.

    Per box the `candidates_per_level` nearest points of each level are candidates (all, where a level has fewer). A
    candidate is positive when the IoU of its prior reaches the mean plus the standard deviation over the box's
    candidates and its centre lies inside the box. A point that several boxes want goes to the one with the highest
    IoU, and to the first of those that are equal. A box too small to hold a point has no positives.

    Args:
        targets: boxes in pixels of the network input.
        priors_cxcywh: (A, 4), pixels, levels one after another.
        strides: (A), pixels per cell; points of one level share it.
        candidates_per_level: nearest points taken on each level.
    """
    candidates = _nearest(targets.boxes_xyxy, priors_cxcywh, strides, per_level=candidates_per_level)
    centres, sizes = priors_cxcywh[candidates].split(2, -1)
    boxes = targets.boxes_xyxy[:, None]
    overlaps = aligned_iou(torch.cat((centres - sizes / 2, centres + sizes / 2), -1), boxes)
    mean = overlaps.mean(1, keepdim=True)
    # Written out, because torch's own warns when there are no boxes.
    variance = (overlaps - mean).square().sum(1, keepdim=True) / max(overlaps.shape[1] - 1, 1)
    usual = mean + variance.sqrt()
    margins = torch.cat((centres - boxes[..., :2], boxes[..., 2:] - centres), -1)
    positive = (overlaps >= usual) & (margins.amin(-1) > _INSIDE)

    box, column = positive.nonzero(as_tuple=True)
    points = len(priors_cxcywh)
    cell = targets.picture_index[box] * points + candidates[box, column]
    owner = _best_claim(cell, box, overlaps[box, column], cells=targets.pictures * points, boxes=len(positive))
    taken = (owner < len(positive)).nonzero()[:, 0]
    return Assignment(pictures=taken // points, points=taken % points, boxes=owner[taken])


def _nearest(boxes_xyxy: Tensor, priors_cxcywh: Tensor, strides: Tensor, *, per_level: int) -> Tensor:
    """Indices (T, K) of the points nearest to the centre of each box, level by level."""
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    levels = torch.unique_consecutive(strides, return_counts=True)[1].tolist()
    found, start = [], 0
    for count in levels:
        points = priors_cxcywh[start : start + count, :2]
        x, y = (centres[:, None, axis] - points[None, :, axis] for axis in (0, 1))
        squared = x.square_().addcmul_(y, y)
        found.append(squared.topk(min(per_level, count), largest=False, sorted=False).indices + start)
        start += count
    return torch.cat(found, 1)


def _best_claim(cell: Tensor, box: Tensor, overlap: Tensor, *, cells: int, boxes: int) -> Tensor:
    """The box (0..boxes-1) that gets each cell, `boxes` where none claims it."""
    best = overlap.new_full((cells,), -1).scatter_reduce(0, cell, overlap, "amax")
    wins = overlap == best[cell]
    return box.new_full((cells,), boxes).scatter_reduce(0, cell[wins], box[wins], "amin")
