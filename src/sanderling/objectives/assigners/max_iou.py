"""Maximal overlap: a prior belongs to the box that it overlaps most, if enough; and every box has at least one prior.

SSD, https://arxiv.org/abs/1512.02325, as TensorFlow's object detection API matches. Axes: B pictures, T boxes of all
pictures, A points, P positive points.
"""

from __future__ import annotations

import torch

from sanderling.objectives.assigners.assignment import Assignment
from sanderling.ops.tensor.iou import aligned_iou
from sanderling.structures.batch import Targets


def assign_max_iou(targets: Targets, priors_cxcywh: torch.Tensor, *, threshold: float = 0.5) -> Assignment:
    """Choose the positive points of every picture at once.

    A point whose prior overlaps a box of its picture by at least `threshold` goes to the box that it overlaps most.
    Then every box takes the prior that overlaps it most, however little that is and whoever had it. Ties go to the
    first box and the first prior. A box that no prior touches has no positives.

    Args:
        targets: boxes in pixels of the network input.
        priors_cxcywh: (A, 4), pixels.
        threshold: least IoU of prior and box, 0..1.
    """
    boxes, pictures = targets.boxes_xyxy, targets.picture_index
    count, points = len(boxes), len(priors_cxcywh)
    centres, sizes = priors_cxcywh.split(2, -1)
    overlaps = aligned_iou(boxes[:, None], torch.cat((centres - sizes / 2, centres + sizes / 2), -1))

    place = pictures[:, None].expand(-1, points)
    most = overlaps.new_zeros(targets.pictures, points).scatter_reduce(0, place, overlaps, "amax")
    wins = (overlaps == most[pictures]) & (overlaps >= threshold)
    number = torch.arange(count, device=boxes.device)
    claims = torch.where(wins, number[:, None], count)
    owner = claims.new_full((targets.pictures, points), count).scatter_reduce(0, place, claims, "amin").flatten()

    overlap, best = overlaps.max(1)
    touched = overlap > 0
    cell = (pictures * points + best)[touched]
    forced = owner.new_full(owner.shape, count).scatter_reduce(0, cell, number[touched], "amin")
    owner = torch.where(forced < count, forced, owner)

    taken = (owner < count).nonzero()[:, 0]
    return Assignment(pictures=taken // points, points=taken % points, boxes=owner[taken])
