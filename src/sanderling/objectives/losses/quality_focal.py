"""Quality focal loss: binary cross-entropy against a quality in 0..1, weighted by the squared error of the score.

Generalized Focal Loss, https://arxiv.org/abs/2006.04388, with its beta of 2.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def background_focal(logits: Tensor) -> Tensor:
    """Loss of logits whose quality is 0, element by element: BCE(x, 0) * sigmoid(x) ** 2."""
    return F.softplus(logits) * logits.sigmoid().square()


def quality_focal(logits: Tensor, quality: Tensor) -> Tensor:
    """Loss of logits against qualities in 0..1 of the same shape: BCE(x, q) * (q - sigmoid(x)) ** 2."""
    return (F.softplus(logits) - logits * quality) * (quality - logits.sigmoid()).square()
