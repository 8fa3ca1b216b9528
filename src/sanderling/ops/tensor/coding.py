"""How heads write boxes as numbers, and back. Axes: B pictures, A points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True, slots=True)
class YoloCoding:
    """Centre inside the cell by a sigmoid, size as a factor of the prior: four numbers x, y, w, h per point.

    The centre is `cell + scale_xy * sigmoid(x) - (scale_xy - 1) / 2` cells. The size is `prior * exp(w)` (YOLOv3,
    https://arxiv.org/abs/1804.02767) or `prior * (2 * sigmoid(w))**2` (YOLOR, YOLOv7). With `scale_xy` above 1
    ("grid sensitive") a centre can lie on the border of its cell.
    """

    scale_xy: float | tuple[tuple[int, float], ...] = 1.0
    """One for all points, or pairs of stride and scale."""
    size: Literal["exp", "sigmoid_squared"] = "exp"

    def scales(self, strides: Tensor) -> Tensor:
        """The `scale_xy` (..., A, 1) of points with given strides (..., A)."""
        if not isinstance(self.scale_xy, tuple):
            return torch.full_like(strides, self.scale_xy)[..., None]
        found = torch.ones_like(strides)
        for stride, scale in self.scale_xy:
            found = torch.where(strides == stride, scale, found)
        return found[..., None]

    def decode(self, box_logits: Tensor, priors_cxcywh: Tensor, strides: Tensor) -> Tensor:
        """Numbers (..., A, 4) to boxes_xyxy (..., A, 4) in pixels."""
        cells = self.scales(strides) * (box_logits[..., :2].sigmoid() - 0.5)
        centres = priors_cxcywh[..., :2] + cells * strides[..., None]
        sizes = box_logits[..., 2:]
        factors = sizes.exp() if self.size == "exp" else (2 * sizes.sigmoid()).square()
        half = priors_cxcywh[..., 2:] * factors / 2
        return torch.cat((centres - half, centres + half), -1)

    def encode(self, boxes_xyxy: Tensor, priors_cxcywh: Tensor, strides: Tensor) -> Tensor:
        """Boxes (..., A, 4) to what x, y (after the sigmoid, 0..1) and w, h (raw) should say.

        x and y are targets of a binary cross-entropy, w and h of a difference. Sizes are kept inside what `size` can
        say.
        """
        centres, sizes = (boxes_xyxy[..., :2] + boxes_xyxy[..., 2:]) / 2, boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]
        places = (centres - priors_cxcywh[..., :2]) / (strides[..., None] * self.scales(strides)) + 0.5
        factors = sizes / priors_cxcywh[..., 2:]
        if self.size == "exp":
            raw = factors.clamp(min=1e-9).log()
        else:
            half = factors.clamp(1e-6, 4 - 1e-3).sqrt() / 2
            raw = torch.logit(half)
        return torch.cat((places.clamp(0, 1), raw), -1)


@dataclass(frozen=True, slots=True)
class SsdCoding:
    """Shift of the centre in units of the prior and logarithm of the size, both divided by variances: x, y, w, h.

    SSD, https://arxiv.org/abs/1512.02325; the scales 10, 10, 5, 5 of TensorFlow's Faster R-CNN coder are the variances
    0.1 and 0.2.
    """

    centre_variance: float = 0.1
    size_variance: float = 0.2
    largest_factor: float = 1000 / 16
    """Sizes are at most so many times the prior."""

    def decode(self, box_logits: Tensor, priors_cxcywh: Tensor, strides: Tensor) -> Tensor:  # noqa: ARG002
        """Numbers (..., A, 4) to boxes_xyxy (..., A, 4) in pixels."""
        sizes = priors_cxcywh[..., 2:]
        centres = priors_cxcywh[..., :2] + box_logits[..., :2] * self.centre_variance * sizes
        logs = (box_logits[..., 2:] * self.size_variance).clamp(max=math.log(self.largest_factor))
        half = sizes * logs.exp() / 2
        return torch.cat((centres - half, centres + half), -1)

    def encode(self, boxes_xyxy: Tensor, priors_cxcywh: Tensor, strides: Tensor) -> Tensor:  # noqa: ARG002
        """Boxes (..., A, 4) to the numbers (..., A, 4) that decode to them."""
        centres, sizes = (boxes_xyxy[..., :2] + boxes_xyxy[..., 2:]) / 2, boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]
        shifts = (centres - priors_cxcywh[..., :2]) / priors_cxcywh[..., 2:] / self.centre_variance
        logs = (sizes / priors_cxcywh[..., 2:]).clamp(min=1e-9).log() / self.size_variance
        return torch.cat((shifts, logs), -1)


@dataclass(frozen=True, slots=True)
class DistanceCoding:
    """Distances to the four sides l, t, r, b in cells, as their logarithm.

    FCOS, https://arxiv.org/abs/1904.01355.
    """

    def decode(self, box_logits: Tensor, priors_cxcywh: Tensor, strides: Tensor) -> Tensor:
        """Numbers (..., A, 4) to boxes_xyxy (..., A, 4) in pixels."""
        distances = box_logits.exp() * strides[..., None]
        centres = priors_cxcywh[..., :2]
        return torch.cat((centres - distances[..., :2], centres + distances[..., 2:]), -1)

    def encode(self, boxes_xyxy: Tensor, priors_cxcywh: Tensor, strides: Tensor) -> Tensor:
        """Boxes (..., A, 4) to the numbers (..., A, 4) that decode to them; a point outside its box has no distance."""
        centres = priors_cxcywh[..., :2]
        distances = torch.cat((centres - boxes_xyxy[..., :2], boxes_xyxy[..., 2:] - centres), -1)
        return (distances / strides[..., None]).clamp(min=1e-3).log()
