"""Two samples become one: mixup lays them over each other, CutMix pastes a rectangle of one into the other.

Mixup for detection: https://arxiv.org/abs/1902.04103; CutMix: https://arxiv.org/abs/1905.04899. Both samples have the
size of the network input. Axes: A boxes of the first, B of the second, T of the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sanderling.data.transforms.fill import Image
from sanderling.data.transforms.geometry import Outlines, upright
from sanderling.ops.array.boxes import area, intersection

Rectangle = tuple[int, int, int, int]
Boxes = NDArray[np.floating]
Concentration = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, slots=True)
class MixupConfig:
    """PP-YOLO's values.

    Each sample is put into its place first (expand, crop, scale, flip), then the two are mixed, and what changes pixels
    comes last. PaddleDetection, PP-YOLO's framework, mixes the decoded pictures, their top left corners together, and
    varies the mixture as one picture.

    >>> MixupConfig().alpha
    1.5
    """

    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    """That a sample is mixed with another."""
    alpha: Concentration = 1.5
    """First parameter of the Beta distribution that the first sample's share is drawn from."""
    beta: Concentration = 1.5
    """Second parameter."""
    until: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the run after which it ends: 1 in PP-YOLO, 250 / 270 in YOLOv3, 500 / 650 in PP-YOLO-tiny."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CutMixConfig:
    """PaddleDetection's values. Samples are put into their places first, as for mixup.

    >>> CutMixConfig().keep_all
    False
    """

    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    """That another sample is pasted into a sample."""
    alpha: Concentration = 1.5
    """First parameter of the Beta distribution that the first sample's share is drawn from."""
    beta: Concentration = 1.5
    """Second parameter."""
    until: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the run after which it ends."""
    keep_all: bool = False
    """As PaddleDetection does: keep every box, also those pasted over, and weigh it with its sample's share."""


def draw_share(config: MixupConfig | CutMixConfig, rng: np.random.Generator) -> float:
    """The first sample's share of the result, 0..1; 1 where nothing is to be done."""
    fires, share = rng.random() < config.probability, rng.beta(config.alpha, config.beta)
    return float(share) if fires else 1.0


def mix(image: Image, other: Image, share: float) -> None:
    """Make `image` (uint8 HxWx3) the sum of its share and the rest of `other`, in place.

    Boxes of both stay; their loss weights are `share` and `1 - share`.
    """
    cv2.addWeighted(image, share, other, 1 - share, 0, dst=image)


def cutmix_rectangle(size_hw: tuple[int, int], share: float, rng: np.random.Generator) -> Rectangle:
    """Where the second sample is pasted (xyxy, whole pixels); it may be empty.

    Its sides are `sqrt(1 - share)` of the picture's, its middle is any pixel, and what lies outside is cut off.
    """
    height, width = size_hw
    root = max(0.0, 1 - share) ** 0.5
    tall, wide = int(height * root), int(width * root)
    top, left = int(rng.integers(height)) - tall // 2, int(rng.integers(width)) - wide // 2
    return max(0, left), max(0, top), min(width, left + wide), min(height, top + tall)


def paste_rectangle(image: Image, other: Image, rectangle_xyxy: Rectangle) -> None:
    """Copy a rectangle of `other` to the same place of `image`, both uint8 HxWx3, in place."""
    left, top, right, bottom = rectangle_xyxy
    image[top:bottom, left:right] = other[top:bottom, left:right]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BlendedBoxes:
    """T boxes of a sample made of two.

    Attributes:
        boxes_xyxy: float32 Tx4, pixels of the sample.
        source_box: int64 T, which box each was: the first sample's, then the second's.
        weights: float32 T, for the loss.
    """

    boxes_xyxy: NDArray[np.float32]
    source_box: NDArray[np.int64]
    weights: NDArray[np.float32]


def boxes_after_cutmix(
    boxes_xyxy: Boxes,
    other_xyxy: Boxes,
    rectangle_xyxy: Rectangle,
    *,
    share: float,
    min_visible: float,
    keep_all: bool = False,
    outlines: Outlines | None = None,
) -> BlendedBoxes:
    """What becomes of the boxes when a rectangle was pasted.

    Boxes are cut to what is still seen of them, those of which too little is seen are dropped, and the rest count in
    full: a detector shall not learn to find what was pasted over, nor to be half sure of what is in plain sight.

    Args:
        boxes_xyxy: Ax4, of the sample that was pasted into.
        other_xyxy: Bx4, of the sample that the rectangle came from.
        rectangle_xyxy: what was pasted.
        share: the first sample's share as it was drawn; only `keep_all` uses it.
        min_visible: smallest share of a box's area to be seen.
        keep_all: keep every box as it is, with the weights `share` and `1 - share`.
        outlines: A + B, what the boxes are around; None where they are what they cover.
    """
    boxes = np.concatenate([boxes_xyxy, other_xyxy]).astype(np.float32)
    first = len(boxes_xyxy)
    if keep_all:
        weights = np.full(len(boxes), 1 - share, np.float32)
        weights[:first] = share
        return BlendedBoxes(boxes_xyxy=boxes, source_box=np.arange(len(boxes)), weights=weights)

    shapes = upright(boxes) if outlines is None else outlines
    rectangle = np.array(rectangle_xyxy, np.float64)
    whole, pasted = area(boxes), intersection(boxes, rectangle[None].astype(np.float32))[:, 0]
    ours = np.arange(len(boxes)) < first
    cut, shown = np.flatnonzero(ours & (pasted > 0)), np.flatnonzero(~ours & (pasted > 0))
    boxes[cut] = _left_over(shapes[cut], rectangle)
    boxes[shown] = shapes[shown].within(np.tile(rectangle, (len(shown), 1)))
    seen = np.where(ours, whole - pasted, pasted)
    kept = np.flatnonzero((seen >= min_visible * whole) & (seen > 0) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    return BlendedBoxes(boxes_xyxy=boxes[kept], source_box=kept, weights=np.ones(len(kept), np.float32))


def _left_over(outlines: Outlines, rectangle_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """The boxes (A, 4) around what a rectangle leaves of outlines: around what is seen beside, above and below it.

    Its sides are whole pixels and those of boxes are not: a strip thinner than half a pixel is not to be seen. A point
    where nothing is left.
    """
    every = np.array([-np.inf, -np.inf, np.inf, np.inf])
    low, high = np.full((len(outlines.matrices), 2), np.inf), np.full((len(outlines.matrices), 2), -np.inf)
    for edge in range(4):
        beyond = every.copy()
        beyond[(edge + 2) % 4] = rectangle_xyxy[edge]
        strips = outlines.within(np.tile(beyond, (len(low), 1)))
        seen = (strips[:, 2:] - strips[:, :2] >= 0.5).all(axis=1, keepdims=True)
        low = np.where(seen, np.minimum(low, strips[:, :2]), low)
        high = np.where(seen, np.maximum(high, strips[:, 2:]), high)
    found = np.concatenate([low, high], axis=1)
    return np.where(np.isfinite(found), found, 0)
