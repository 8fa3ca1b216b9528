"""How heads write boxes as numbers, and back. Axes: B pictures, A points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class DistributionCoding:
    """Distances to the four sides, each a distribution over `bins` values 0..bins-1 in cells.

    Generalized Focal Loss, https://arxiv.org/abs/2006.04388. Numbers per point: 4 * bins, side by side l, t, r, b.
    """

    bins: int

    def decode(self, box_logits: Tensor, priors_cxcywh: Tensor, strides: Tensor) -> Tensor:
        """Numbers (..., A, 4 * bins) to boxes_xyxy (..., A, 4) in pixels: the expected distance of each side."""
        distances = self.distances(box_logits) * strides[..., None]
        centres = priors_cxcywh[..., :2]
        return torch.cat((centres - distances[..., :2], centres + distances[..., 2:]), -1)

    def encode(self, boxes_xyxy: Tensor, priors_cxcywh: Tensor, strides: Tensor) -> Tensor:
        """Boxes (..., A, 4) to distances (..., A, 4) in cells, kept inside the range that the bins can say."""
        centres = priors_cxcywh[..., :2]
        distances = torch.cat((centres - boxes_xyxy[..., :2], boxes_xyxy[..., 2:] - centres), -1) / strides[..., None]
        return distances.clamp(min=0, max=self.bins - 1 - 0.1)

    def distances(self, box_logits: Tensor) -> Tensor:
        """Numbers (..., 4 * bins) to expected distances (..., 4) in cells."""
        values = torch.arange(self.bins, dtype=box_logits.dtype, device=box_logits.device)
        shape = (*box_logits.shape[:-1], 4, self.bins)
        return box_logits.reshape(shape).softmax(-1) @ values
