"""Matrix NMS in plain tensor operations of fixed shape, for exported graphs.

The definition, with its source, stands in `sanderling.ops.array.matrix_nms`, whose numbers these are. Axes: K boxes.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sanderling.ops.tensor.iou import aligned_iou

_SMALLEST = 1e-12


def matrix_shares(boxes_xyxy: Tensor, labels: Tensor, *, decay: Literal["linear", "gaussian"], sigma: float) -> Tensor:
    """What Matrix NMS leaves of each score, as a share.

    Args:
        boxes_xyxy: (K, 4), best first; all pairs are held at once.
        labels: (K) classes; only boxes of the same class touch each other's score.
        decay: `linear` or `gaussian`.
        sigma: width of the Gaussian decay.

    Returns:
        (K), 0..1.
    """
    overlaps = aligned_iou(boxes_xyxy[:, None], boxes_xyxy[None]) * (labels[:, None] == labels[None])
    # Rows are the better boxes.
    overlaps = torch.triu(overlaps, 1)
    covered = overlaps.amax(0)[:, None]
    # The first row is covered by nothing, so that no share is above 1.
    if decay == "linear":
        return ((1 - overlaps) / (1 - covered).clamp(min=_SMALLEST)).amin(0)
    return torch.exp((overlaps.square() - covered.square()).amax(0) / -sigma)
