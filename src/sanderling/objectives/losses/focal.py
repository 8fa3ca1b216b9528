"""Focal loss of sigmoids: easy answers count little.

https://arxiv.org/abs/1708.02002. Written for the two kinds of targets apart, because almost every logit is background.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def focal_positive(logits: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Loss of logits that should say yes, element by element: alpha * (1 - p)**gamma * -log(p)."""
    return alpha * (-logits).sigmoid().pow(gamma) * F.softplus(-logits)


def focal_negative(logits: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Loss of logits that should say no, element by element: (1 - alpha) * p**gamma * -log(1 - p)."""
    return (1 - alpha) * logits.sigmoid().pow(gamma) * F.softplus(logits)
