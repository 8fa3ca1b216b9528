"""What a network says about a batch, before decoding.

Axes: B pictures, A points of all levels, C classes, K numbers per box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class BoxCoding(Protocol):
    """How a head writes a box into K numbers per point, and back."""

    def decode(self, box_logits: Tensor, priors_cxcywh: Tensor, strides: Tensor) -> Tensor:
        """Turn numbers (..., A, K) into boxes_xyxy (..., A, 4) in pixels of the network input, unclamped."""
        ...

    def encode(self, boxes_xyxy: Tensor, priors_cxcywh: Tensor, strides: Tensor) -> Tensor:
        """Turn boxes (..., A, 4), one for each point, into what the head is taught to say for them."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Predictions:
    """Raw maps flattened over levels (by stride, row-major), with the geometry that gives them meaning.

    Attributes:
        class_logits: BxAxC.
        box_logits: BxAxK, read by `coding`.
        priors_cxcywh: Ax4, centre and size of each point's prior in pixels of the network input.
        strides: A, pixels per cell.
        coding: encodes and decodes boxes.
        size_hw: height and width of the network input.
        objectness_logits: BxA where the head has them.
        iou_logits: BxA where the head has them.
        iou_power: weight of the predicted IoU against the objectness in a score, 0..1.
    """

    class_logits: Tensor
    box_logits: Tensor
    priors_cxcywh: Tensor
    strides: Tensor
    coding: BoxCoding
    size_hw: tuple[int, int]
    objectness_logits: Tensor | None = None
    iou_logits: Tensor | None = None
    iou_power: float = 0.5
