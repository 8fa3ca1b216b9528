"""Loss of boxes by their generalised overlap, https://arxiv.org/abs/1902.09630."""

from __future__ import annotations

from torch import Tensor

from sanderling.ops.tensor.iou import aligned_giou


def giou_loss(predicted_xyxy: Tensor, target_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """1 - GIoU of boxes (..., 4) that belong together, 0..2, and their IoU without gradient, each (...)."""
    iou, giou = aligned_giou(predicted_xyxy, target_xyxy)
    return 1 - giou, iou.detach()
