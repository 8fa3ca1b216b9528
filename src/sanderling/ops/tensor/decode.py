"""From raw predictions to boxes and scores: the step that travels inside every exported graph."""

from __future__ import annotations

import torch
from torch import Tensor

from sanderling.structures.predictions import Predictions


def decode(predictions: Predictions) -> tuple[Tensor, Tensor]:
    """Boxes (B, A, 4) in pixels of the network input, clamped to it, and scores (B, A, C) in 0..1.

    A score is the class probability, times the objectness where the head says one; where it also predicts its own IoU,
    the objectness is `objectness**(1 - iou_power) * iou**iou_power` (IoU-aware, https://arxiv.org/abs/1912.05992).
    """
    boxes = predictions.coding.decode(predictions.box_logits, predictions.priors_cxcywh, predictions.strides)
    height, width = predictions.size_hw
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    clamped = torch.stack((x[..., 0], y[..., 0], x[..., 1], y[..., 1]), -1)
    scores = predictions.class_logits.sigmoid()
    if predictions.objectness_logits is not None:
        scores = scores * _objectness(predictions.objectness_logits, predictions)[..., None]
    return clamped, scores


def _objectness(logits: Tensor, predictions: Predictions) -> Tensor:
    if predictions.iou_logits is None:
        return logits.sigmoid()
    share = predictions.iou_power
    return logits.sigmoid().pow(1 - share) * predictions.iou_logits.sigmoid().pow(share)
