"""Overlap of boxes. Axes: N, M boxes."""

from __future__ import annotations

import torch
from torch import Tensor


def area(boxes_xyxy: Tensor) -> Tensor:
    """Areas of boxes (..., 4)."""
    sides = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def aligned_iou(first_xyxy: Tensor, second_xyxy: Tensor, *, eps: float = 1e-7) -> Tensor:
    """Intersection over union of boxes that belong together, broadcast over leading axes: (..., 4) -> (...)."""
    shared = _shared(first_xyxy, second_xyxy)
    return shared / (area(first_xyxy) + area(second_xyxy) - shared).clamp(min=eps)


def aligned_giou(first_xyxy: Tensor, second_xyxy: Tensor, *, eps: float = 1e-7) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (https://arxiv.org/abs/1902.09630) of boxes that belong together, each (...)."""
    shared = _shared(first_xyxy, second_xyxy)
    union = (area(first_xyxy) + area(second_xyxy) - shared).clamp(min=eps)
    low = torch.minimum(first_xyxy[..., :2], second_xyxy[..., :2])
    high = torch.maximum(first_xyxy[..., 2:], second_xyxy[..., 2:])
    hull = (high - low).clamp(min=0).prod(-1).clamp(min=eps)
    iou = shared / union
    return iou, iou - (hull - union) / hull


def _shared(first_xyxy: Tensor, second_xyxy: Tensor) -> Tensor:
    low = torch.maximum(first_xyxy[..., :2], second_xyxy[..., :2])
    high = torch.minimum(first_xyxy[..., 2:], second_xyxy[..., 2:])
    sides = (high - low).clamp(min=0)
    return sides[..., 0] * sides[..., 1]
