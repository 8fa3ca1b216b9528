"""Best anchor: each box teaches the anchor of all levels whose shape is nearest, in the cell that holds its centre.

YOLOv3, https://arxiv.org/abs/1804.02767. Axes: B pictures, T boxes of all pictures, A points, N anchors of one cell
over all levels, P positive points, K claims of boxes on points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sanderling.ops.tensor.iou import area
from sanderling.structures.batch import Targets

# So many pairs of a box and a point are compared at once; it bounds the memory.
_PAIRS_AT_ONCE = 1 << 22


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AnchorAssignment:
    """The positive points of a batch, ordered by picture and point, and every claim on them.

    Attributes:
        pictures: int64 P, 0..B-1.
        points: int64 P, 0..A-1.
        boxes: int64 P, index into the targets' T boxes: the last of those that claim the point.
        claimed: int64 K, 0..P-1, the point of each claim.
        claimants: int64 K, its box.
    """

    pictures: Tensor
    points: Tensor
    boxes: Tensor
    claimed: Tensor
    claimants: Tensor


def assign_best_anchor(
    targets: Targets,
    priors_cxcywh: Tensor,
    strides: Tensor,
    size_hw: tuple[int, int],
    *,
    iou_threshold: float | None = None,
) -> AnchorAssignment:
    """Choose the positive points of every picture at once.

    Shapes are compared by the IoU of box and anchor laid over one another. An anchor that stands in two levels (as in
    YOLOv4-tiny) is claimed in both. Where several boxes claim one point as their best, the last has it, as in darknet
    and PaddleDetection; there the classes of the others stay set, so all claims are given. A box claims an anchor that
    is not its best only where no box before it claims that point, and gives way to one whose best it is, as in
    PaddleDetection. Boxes without a size or a weight, or with their centre outside of the picture, claim nothing.

    Args:
        targets: boxes in pixels of the network input.
        priors_cxcywh: (A, 4), pixels, as `anchor_priors` lays them out.
        strides: (A), pixels per cell; another stride begins another level.
        size_hw: height and width of the network input.
        iou_threshold: anchors whose shape overlaps the box by more than this are claimed as well.
    """
    anchors = _anchors(priors_cxcywh, strides, size_hw)
    boxes = targets.boxes_xyxy
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    overlaps = _shape_iou(sizes, anchors.sizes_wh)
    best = overlaps == overlaps.amax(1, keepdim=True)
    claimed = best if iou_threshold is None else best | (overlaps > iou_threshold)
    limits = torch.tensor((size_hw[1], size_hw[0]), device=boxes.device)
    usable = (sizes > 0).all(1) & ((centres >= 0) & (centres < limits)).all(1) & (targets.weights > 0)
    claimant, anchor = (claimed & usable[:, None]).nonzero(as_tuple=True)

    columns_rows = (centres[claimant] / anchors.strides[anchor, None]).long()
    cells = columns_rows[:, 1] * anchors.columns[anchor] + columns_rows[:, 0]
    points = anchors.first[anchor] + cells * anchors.per_cell[anchor]
    places = targets.picture_index[claimant] * len(strides) + points

    owners = torch.full((targets.pictures * len(strides),), -1, dtype=torch.int64, device=boxes.device)
    if iou_threshold is not None:
        first = owners.new_full(owners.shape, len(boxes)).scatter_reduce_(0, places, claimant, "amin")
        held = best[claimant, anchor] | (claimant == first[places])
        claimant, anchor, places = claimant[held], anchor[held], places[held]
    # Those whose best it is come after all others.
    rank = claimant + len(boxes) * best[claimant, anchor]
    owners.scatter_reduce_(0, places, rank, "amax")
    taken = (owners >= 0).nonzero()[:, 0]
    return AnchorAssignment(
        pictures=taken // len(strides),
        points=taken % len(strides),
        boxes=owners[taken] % max(1, len(boxes)),
        claimed=torch.searchsorted(taken, places),
        claimants=claimant,
    )


def overlaps_a_target(boxes_xyxy: Tensor, targets: Targets, *, above: float) -> Tensor:
    """Which predicted boxes (B, A, 4) overlap a box of their own picture by an IoU above `above`: bool (B, A)."""
    # Side by side, because loops over four numbers are far too short to be fast.
    x1, y1, x2, y2 = boxes_xyxy.unbind(-1)
    corners = [corner.contiguous() for corner in (x1, y1, x2, y2, area(boxes_xyxy))]
    found = torch.zeros(boxes_xyxy.shape[:2], dtype=torch.int32, device=boxes_xyxy.device)
    step = max(1, _PAIRS_AT_ONCE // max(1, boxes_xyxy.shape[1]))
    for start in range(0, len(targets.boxes_xyxy), step):
        pictures = targets.picture_index[start : start + step]
        wanted = targets.boxes_xyxy[start : start + step]
        left, top, right, bottom, areas = (corner[pictures] for corner in corners)
        width = torch.minimum(right, wanted[:, 2:3]) - torch.maximum(left, wanted[:, 0:1])
        height = torch.minimum(bottom, wanted[:, 3:4]) - torch.maximum(top, wanted[:, 1:2])
        shared = width.clamp_(min=0).mul_(height.clamp_(min=0))
        union = areas.add_(area(wanted)[:, None]).sub_(shared)
        found.index_add_(0, pictures, (shared > above * union).int())
    return found > 0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Anchors:
    """The N anchors of a cell over all levels: sizes (N, 2), and per anchor where its points stand."""

    sizes_wh: Tensor
    strides: Tensor
    first: Tensor
    """Index of the anchor's point in the first cell."""
    columns: Tensor
    """Cells side by side."""
    per_cell: Tensor
    """Points of a cell of its level."""


def _anchors(priors_cxcywh: Tensor, strides: Tensor, size_hw: tuple[int, int]) -> _Anchors:
    values, counts = torch.unique_consecutive(strides, return_counts=True)
    rows, start = [], 0
    for stride, count in zip(values.tolist(), counts.tolist(), strict=True):
        columns, lines = (-int(-side // stride) for side in (size_hw[1], size_hw[0]))
        per_cell = count // (columns * lines)
        rows += [(start + anchor, columns, per_cell) for anchor in range(per_cell)]
        start += count
    first, columns_of, per_cell_of = torch.tensor(rows, device=strides.device).unbind(1)
    return _Anchors(
        sizes_wh=priors_cxcywh[first, 2:],
        strides=strides[first],
        first=first,
        columns=columns_of,
        per_cell=per_cell_of,
    )


def _shape_iou(sizes_wh: Tensor, anchors_wh: Tensor) -> Tensor:
    """IoU (T, N) of boxes and anchors with one centre."""
    shared = torch.minimum(sizes_wh[:, None], anchors_wh).clamp(min=0).prod(-1)
    return shared / (sizes_wh.prod(1)[:, None] + anchors_wh.prod(1) - shared)
