"""From raw predictions to boxes and scores: the step that travels inside every exported graph."""

from __future__ import annotations

import torch
from torch import Tensor

from sanderling.structures.predictions import Predictions


def decode(predictions: Predictions) -> tuple[Tensor, Tensor]:
    """Boxes (B, A, 4) in pixels of the network input, clamped to it, and scores (B, A, C) in 0..1."""
    boxes = predictions.coding.decode(predictions.box_logits, predictions.priors_cxcywh, predictions.strides)
    height, width = predictions.size_hw
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    clamped = torch.stack((x[..., 0], y[..., 0], x[..., 1], y[..., 1]), -1)
    return clamped, predictions.class_logits.sigmoid()
