"""Distribution focal loss: cross-entropy to the two bins around a distance, weighted linearly.

Generalized Focal Loss, https://arxiv.org/abs/2006.04388.
"""

from __future__ import annotations

from torch import Tensor


def distribution_focal(logits: Tensor, distances: Tensor) -> Tensor:
    """Loss of distributions (..., bins) against distances (...) in 0 <= d < bins - 1: (...)."""
    below = distances.floor()
    share_above = distances - below
    index = below.long()[..., None]
    log_share = logits.log_softmax(-1)
    at_below, at_above = log_share.gather(-1, index)[..., 0], log_share.gather(-1, index + 1)[..., 0]
    return -(at_below * (1 - share_above) + at_above * share_above)
