"""Assignment by shape: anchors that resemble a box, in the cell of its centre and in the two nearest cells beside it.

The rule of YOLOv5 and YOLOR (https://arxiv.org/abs/2105.04206). Axes: T boxes of all pictures, A points, N anchors per
cell, P positive points.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sanderling.objectives.assigners.assignment import Assignment
from sanderling.structures.batch import Targets

_STEPS_XY = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))


def assign_anchor_ratio(
    targets: Targets, priors_cxcywh: Tensor, strides: Tensor, *, size_hw: tuple[int, int], largest_ratio: float = 4.0
) -> Assignment:
    """Choose the positive points of every picture at once.

    An anchor matches a box when neither widths nor heights differ by `largest_ratio` times or more, on every level by
    itself. It is positive in the cell that holds the box's centre and in up to two more: the one left or right and the
    one above or below, whichever is nearer to the centre and inside the picture. A point that several boxes want is
    there once for each of them; a box that resembles no anchor has no positives.

    Args:
        targets: boxes in pixels of the network input.
        priors_cxcywh: (A, 4), pixels; levels one after another, cells row-major, anchors of a cell one after another.
        strides: (A), pixels per cell; points of one level share it.
        size_hw: height and width of the network input.
        largest_ratio: where resemblance ends.
    """
    centres = (targets.boxes_xyxy[:, :2] + targets.boxes_xyxy[:, 2:]) / 2
    sizes = targets.boxes_xyxy[:, 2:] - targets.boxes_xyxy[:, :2]
    levels = torch.stack(torch.unique_consecutive(strides, return_counts=True), 1).long().tolist()
    boxes, points, start = [], [], 0
    for stride, count in levels:
        rows, columns = -(-size_hw[0] // stride), -(-size_hw[1] // stride)
        anchors = count // (rows * columns)
        ratios = sizes[:, None] / priors_cxcywh[start : start + anchors, 2:]
        alike = torch.maximum(ratios, 1 / ratios).amax(-1) < largest_ratio
        cells, near = _cells(centres / stride, columns=columns, rows=rows)
        box, anchor, step = (alike[:, :, None] & near[:, None]).nonzero(as_tuple=True)
        boxes.append(box)
        points.append(start + cells[box, step] * anchors + anchor)
        start += count
    box, point = torch.cat(boxes), torch.cat(points)
    picture = targets.picture_index[box]
    order = (picture * len(priors_cxcywh) + point).argsort(stable=True)
    return Assignment(pictures=picture[order], points=point[order], boxes=box[order])


def _cells(centres: Tensor, *, columns: int, rows: int) -> tuple[Tensor, Tensor]:
    """Row-major indices (T, 5) of the cell of each centre (T, 2; in cells) and its neighbours, and which count."""
    last = torch.tensor([columns - 1, rows - 1], device=centres.device)
    cell = torch.minimum(centres.long(), last)
    place = centres - cell
    steps = torch.tensor(_STEPS_XY, device=centres.device)
    # Towards a side counts when the centre lies in that half of its cell: step * (place - 1/2) > 0, on both axes.
    towards = (steps * (place[:, None] - 0.5)).sum(-1) > 0
    towards[:, 0] = True
    there = cell[:, None] + steps
    inside = ((there >= 0) & (there <= last)).all(-1)
    return there[..., 1] * columns + there[..., 0], towards & inside
