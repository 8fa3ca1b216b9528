"""Random crop by the overlap of boxes with the crop: a choice of where to look, no pixels are touched.

SSD's sampling, https://arxiv.org/abs/1512.02325, in the form PaddleDetection trains PP-YOLO with. Axes: T boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sanderling.ops.array.boxes import iou

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class CropConfig:
    """PP-YOLO's values; a pair is the smallest and the largest, drawn evenly between.

    >>> CropConfig().tries
    50
    """

    thresholds: tuple[Share, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    """Taken in random order until one leads to a crop: so much must a box overlap the crop (IoU) at least."""
    whole: bool = True
    """One more choice among the thresholds: the whole picture."""
    cover_all: bool = False
    """Every box must overlap so much; else the one that does most."""
    tries: Annotated[int, Field(ge=1)] = 50
    """Crops drawn for each threshold."""
    scale: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]] = (0.3, 1.0)
    """Of the crop's sides, as a share of the picture's, before the aspect."""
    aspect: tuple[
        Annotated[float, Field(gt=0, allow_inf_nan=False)], Annotated[float, Field(gt=0, allow_inf_nan=False)]
    ] = (0.5, 2.0)
    """Width by height, relative to the picture's own."""

    def __post_init__(self) -> None:
        """Check that both ranges rise."""
        for name in ("scale", "aspect"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} = ({low}, {high}) must not fall; write the smaller value first")


def draw_crop(
    boxes_xyxy: NDArray[np.floating], size_xy: tuple[int, int], config: CropConfig, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The part of a picture to be seen, int64 4 (xyxy, whole pixels).

    A crop is taken when the largest IoU of a box with it (with `cover_all` also the smallest) reaches the threshold and
    some box has its middle inside. A picture without boxes, or for which no try does, is seen whole.

    Args:
        boxes_xyxy: Tx4, pixels of the original picture.
        size_xy: width and height of the original picture.
        config: thresholds and ranges.
        rng: where the randomness comes from.
    """
    size = np.array(size_xy)
    whole = np.concatenate([np.zeros(2, np.int64), size])
    if not len(boxes_xyxy):
        return whole
    choices: list[float | None] = [*config.thresholds, None] if config.whole else [*config.thresholds]
    for place in rng.permutation(len(choices)).tolist():
        threshold = choices[place]
        if threshold is None:
            return whole
        crops = _candidates(size, config, rng)
        overlap = iou(boxes_xyxy.astype(np.float64), crops.astype(np.float64))
        enough = (overlap.min(axis=0) if config.cover_all else overlap.max(axis=0)) >= threshold
        taken = np.flatnonzero(enough & kept(boxes_xyxy[:, None], crops).any(axis=0))
        if len(taken):
            return crops[taken[0]]
    return whole


def kept(boxes_xyxy: NDArray[np.floating], crop_xyxy: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which boxes (..., 4) a crop (..., 4) keeps: those with their middle and some area inside.

    >>> kept(np.array([[0.0, 0, 10, 10], [0, 0, 30, 10]]), np.array([0, 0, 12, 12]))
    array([ True, False])
    """
    middle = (boxes_xyxy[..., :2] + boxes_xyxy[..., 2:]) / 2
    inside = (crop_xyxy[..., :2] <= middle) & (middle < crop_xyxy[..., 2:])
    seen = np.minimum(boxes_xyxy[..., 2:], crop_xyxy[..., 2:]) > np.maximum(boxes_xyxy[..., :2], crop_xyxy[..., :2])
    return np.asarray((inside & seen).all(axis=-1))


def _candidates(size_xy: NDArray[np.int64], config: CropConfig, rng: np.random.Generator) -> NDArray[np.int64]:
    """As many crops as there are tries (int64, tries x 4); the aspect stays where the crop fits the picture."""
    drawn = rng.random((4, config.tries))
    smallest, largest = config.scale
    scale = smallest + drawn[0] * (largest - smallest)
    squared = scale * scale
    widest = np.minimum(config.aspect[1], 1 / squared)
    narrowest = np.minimum(np.maximum(config.aspect[0], squared), widest)
    root = np.sqrt(narrowest + drawn[1] * (widest - narrowest))
    crops = np.empty((config.tries, 4), np.int64)
    for axis, share in enumerate((scale * root, scale / root)):
        size = int(size_xy[axis])
        sides = np.minimum(np.maximum((share * size).astype(np.int64), 1), size)
        crops[:, axis] = drawn[2 + axis] * (size - sides + 1)
        crops[:, axis + 2] = crops[:, axis] + sides
    return crops
