"""Dynamic soft label assignment: the points that would say a box most cheaply, as many as its best ones are worth.

NanoDet-Plus, https://github.com/RangiLyu/nanodet, after OTA and YOLOX (https://arxiv.org/abs/2107.08430). Axes: T boxes
of all pictures, B pictures, A points, C classes, P positive points.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sanderling.objectives.assigners.assignment import Assignment
from sanderling.objectives.losses.quality_focal import background_focal, quality_focal
from sanderling.ops.tensor.iou import aligned_iou
from sanderling.structures.batch import Targets

# So that no overlap has a logarithm.
_LEAST = 1e-7


def assign_dsla(
    targets: Targets,
    priors_cxcywh: Tensor,
    class_logits: Tensor,
    boxes_xyxy: Tensor,
    *,
    best_overlaps: int = 13,
    overlap_weight: float = 3.0,
) -> tuple[Assignment, Tensor]:
    """Choose the positive points of every picture at once, by what was predicted there.

    Candidates are the points strictly inside any box of their picture. What a point costs a box is the quality focal
    loss of all its classes against the box's label at the quality of their IoU, plus `overlap_weight` times the
    negative logarithm of the IoU. A box gets as many of its cheapest candidates as its `best_overlaps` highest IoUs sum
    to, rounded down, and at least one. A point that several boxes chose goes to the box of its picture that it costs
    least. A box that holds no point has no positives (as published it takes one from another object).

    Args:
        targets: boxes in pixels of the network input.
        priors_cxcywh: (A, 4), pixels.
        class_logits: (B, A, C), predicted.
        boxes_xyxy: (B, A, 4), predicted, in pixels.
        best_overlaps: how many IoUs are summed.
        overlap_weight: of the IoU in the cost.

    Returns:
        the positive points, and the IoU (P) of what was predicted there with their box.
    """
    picture = targets.picture_index
    inside = _inside(targets.boxes_xyxy, priors_cxcywh[:, :2])
    holding = priors_cxcywh.new_zeros((targets.pictures, len(priors_cxcywh))).index_add_(0, picture, inside.float())
    candidate = (holding[picture] > 0) & inside.any(1, keepdim=True)
    overlaps = aligned_iou(boxes_xyxy[picture], targets.boxes_xyxy[:, None]).masked_fill_(~candidate, 0)
    logits = class_logits[picture, :, targets.labels]
    # Of all classes only the label is not background.
    cost = background_focal(class_logits).sum(-1)[picture] - background_focal(logits) + quality_focal(logits, overlaps)
    cost.sub_((overlaps + _LEAST).log_(), alpha=overlap_weight).masked_fill_(~candidate, torch.inf)

    reach = min(best_overlaps, cost.shape[1])
    wanted = overlaps.topk(reach, 1).values.sum(1).long().clamp(min=1)
    cheapest = cost.topk(reach, 1, largest=False)
    chosen = (torch.arange(reach, device=cost.device) < wanted[:, None]) & cheapest.values.isfinite()
    box, column = chosen.nonzero(as_tuple=True)
    owner = _owners(targets, cost, box, cheapest.indices[box, column])
    taken = (owner < len(cost)).nonzero()[:, 0]
    assigned = Assignment(pictures=taken // cost.shape[1], points=taken % cost.shape[1], boxes=owner[taken])
    return assigned, overlaps[assigned.boxes, assigned.points]


def _inside(boxes_xyxy: Tensor, centres: Tensor) -> Tensor:
    """Whether each point is strictly inside each box: bool (T, A)."""
    (x, y), low, high = centres.unbind(-1), boxes_xyxy[:, None, :2], boxes_xyxy[:, None, 2:]
    return (x > low[..., 0]) & (y > low[..., 1]) & (x < high[..., 0]) & (y < high[..., 1])


def _owners(targets: Targets, cost: Tensor, box: Tensor, point: Tensor) -> Tensor:
    """The box (0..T-1) that gets each cell of the batch (B * A), T where none chose it.

    Args:
        targets: of the batch.
        cost: (T, A).
        box: of each choice.
        point: of each choice.
    """
    boxes, points = cost.shape
    cell = targets.picture_index[box] * points + point
    claims = torch.bincount(cell, minlength=targets.pictures * points)
    owner = box.new_full((len(claims),), boxes)
    owner[cell] = box
    contested = (claims > 1).nonzero()[:, 0]
    elsewhere = targets.picture_index[:, None] != contested // points
    costs = cost[:, contested % points].masked_fill_(elsewhere, torch.inf)
    if len(contested):
        rows = torch.arange(boxes, device=cost.device)[:, None]
        # The first of those that are equal.
        owner[contested] = torch.where(costs == costs.amin(0), rows, boxes).amin(0)
    return owner
