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


def focal_with_few_positives(
    logits: Tensor,
    positive_logits: Tensor,
    share: Tensor,
    *,
    alpha: float,
    gamma: float,
    counted: Tensor | None = None,
) -> Tensor:
    """Sum over all logits, nearly all of which should say no.

    Args:
        logits: of any shape.
        positive_logits: (P), those among them that should say yes.
        share: (P), how much each of these counts.
        alpha: weight of a positive; a negative has 1 - alpha.
        gamma: how much less easy answers count.
        counted: which of the logits count at all, in a shape that spreads over theirs; the positives have to be among
            them. None counts all.
    """
    # Every logit is background at first; the few that are not are taken back.
    at_positives = focal_positive(positive_logits, alpha=alpha, gamma=gamma) * share
    at_positives = at_positives - focal_negative(positive_logits, alpha=alpha, gamma=gamma)
    as_background = focal_negative(logits, alpha=alpha, gamma=gamma)
    if counted is not None:
        as_background = as_background * counted
    return as_background.sum() + at_positives.sum()
