"""Losses of boxes by their overlap: squared IoU, GIoU, DIoU and CIoU under one name each.

GIoU https://arxiv.org/abs/1902.09630, DIoU and CIoU https://arxiv.org/abs/1911.08287.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from sanderling.objectives.losses.giou import giou_loss
from sanderling.ops.tensor.iou import aligned_iou

IouForm = Literal["iou_squared", "giou", "diou", "ciou"]


def iou_family_loss(predicted_xyxy: Tensor, target_xyxy: Tensor, form: IouForm) -> tuple[Tensor, Tensor]:
    """The loss of boxes (..., 4) that belong together and their IoU without gradient, each (...).

    Args:
        predicted_xyxy: what is taught.
        target_xyxy: what it should be.
        form: `iou_squared` is 1 - IoU**2 as in PP-YOLO; the others are 1 - IoU with their penalties.
    """
    if form == "giou":
        return giou_loss(predicted_xyxy, target_xyxy)
    iou = aligned_iou(predicted_xyxy, target_xyxy)
    if form == "iou_squared":
        return 1 - iou.square(), iou.detach()
    loss = 1 - iou + _distance(predicted_xyxy, target_xyxy)
    if form == "ciou":
        loss = loss + _shape(predicted_xyxy, target_xyxy, iou.detach())
    return loss, iou.detach()


def _distance(first_xyxy: Tensor, second_xyxy: Tensor, *, eps: float = 1e-7) -> Tensor:
    """Squared distance of the centres over the squared diagonal of the hull."""
    low = torch.minimum(first_xyxy[..., :2], second_xyxy[..., :2])
    high = torch.maximum(first_xyxy[..., 2:], second_xyxy[..., 2:])
    doubled = first_xyxy[..., :2] + first_xyxy[..., 2:] - second_xyxy[..., :2] - second_xyxy[..., 2:]
    return doubled.square().sum(-1) / 4 / (high - low).square().sum(-1).clamp(min=eps)


def _shape(first_xyxy: Tensor, second_xyxy: Tensor, iou: Tensor) -> Tensor:
    """CIoU's penalty for another ratio of width and height; its weight has no gradient."""
    difference = (_angle(second_xyxy) - _angle(first_xyxy)) * (2 / math.pi)
    value = difference.square()
    with torch.no_grad():
        share = value / (1 - iou + value).clamp(min=1e-7)
    return share * value


def _angle(boxes_xyxy: Tensor, *, eps: float = 1e-7) -> Tensor:
    width, height = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).clamp(min=eps).unbind(-1)
    return torch.atan2(width, height)
