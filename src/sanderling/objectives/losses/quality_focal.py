"""Quality focal loss: binary cross-entropy against a quality in 0..1, weighted by the squared error of the score.

Generalized Focal Loss, https://arxiv.org/abs/2006.04388, with its beta of 2.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def background_focal(logits: Tensor) -> Tensor:
    """Loss of logits whose quality is 0, element by element: BCE(x, 0) * sigmoid(x) ** 2."""
    return _BackgroundFocal.apply(logits)


def quality_focal(logits: Tensor, quality: Tensor) -> Tensor:
    """Loss of logits against qualities in 0..1 of the same shape: BCE(x, q) * (q - sigmoid(x)) ** 2."""
    return (F.softplus(logits) - logits * quality) * (quality - logits.sigmoid()).square()


class _BackgroundFocal(torch.autograd.Function):
    """Written out with its gradient: almost every number that a network says is background."""

    @staticmethod
    def forward(context: Any, logits: Tensor) -> Tensor:
        scores, entropy = logits.sigmoid(), F.softplus(logits)
        context.save_for_backward(scores, entropy)
        return scores.square().mul_(entropy)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        scores, entropy = context.saved_tensors
        # d/dx softplus(x) * s ** 2 = s ** 2 * (s + 2 * (1 - s) * softplus(x))
        slope = torch.sub(1, scores).mul_(entropy).mul_(2).add_(scores)
        return slope.mul_(scores).mul_(scores).mul_(gradients[0])
