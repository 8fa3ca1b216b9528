"""Cutout: squares at random places, or cells that the caller has chosen, are blotted out. Axes: G cells of a side.

https://arxiv.org/abs/1708.04552. Boxes stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sanderling.data.transforms.fill import Fill, Image, flood, paint


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoutConfig:
    """Squares; the defaults are those published for CIFAR-10, whose square of 16 pixels is half the picture's side.

    >>> CutoutConfig(count=2).side
    0.5
    """

    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    """That a picture is cut at all."""
    side: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Of a square, as a share of the picture's shorter side, so that it means the same at every input size."""
    count: Annotated[int, Field(ge=1)] = 1
    """Squares in a picture."""
    fill: Fill = 0
    """The published code cuts after the picture is normalised, where zero is the mean colour: "mean" does that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ActivationCutoutConfig:
    """What the network was most active at in the epoch before is blotted out; the idea that cutout began with.

    The article gives no numbers. Of every picture that was seen alone (in no mosaic or mixture) the last feature map of
    the backbone, averaged over its channels, is kept on a grid over the picture until the next epoch.
    """

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """Cells above this share of the way from the picture's lowest to its highest activation are blotted out."""
    cells: Annotated[int, Field(ge=2, le=64)] = 16
    """Of a side of the grid."""
    fill: Fill = 0
    """As in cutout."""


def cut_out(image: Image, config: CutoutConfig, rng: np.random.Generator) -> None:
    """Blot out squares of a picture (uint8 HxWx3), in place.

    The middle of a square is any pixel of the picture, so up to half of it in each direction lies outside.
    """
    if rng.random() >= config.probability:
        return
    height, width = image.shape[:2]
    side = max(1, round(config.side * min(height, width)))
    for _ in range(config.count):
        top, left = int(rng.integers(height)) - side // 2, int(rng.integers(width)) - side // 2
        flood(image[max(0, top) : top + side, max(0, left) : left + side], config.fill)


def cut_out_grid(
    image: Image,
    grid: NDArray[np.bool_],
    matrix: NDArray[np.float64],
    *,
    original_hw: tuple[int, int],
    fill: Fill = 0,
) -> None:
    """Blot out the marked cells of a grid that lies over the original picture, in place.

    Args:
        image: uint8 HxWx3; may be a view of the part of a sample that this original fills.
        grid: bool GxG, True is blotted out.
        matrix: float64 2x3, original pixels to pixels of `image`, both in edge coordinates (the left edge of the first
            pixel is 0); may turn, shear and mirror.
        original_hw: height and width of the original picture.
        fill: the colour of the cells.
    """
    if not grid.any():
        return
    cells = np.array(original_hw[::-1]) / np.array(grid.shape[::-1])
    to_image = np.array(matrix, np.float64)
    to_image[:, :2] *= cells
    # OpenCV counts from the middle of the first pixel.
    to_image[:, 2] += (to_image[:, :2].sum(axis=1) - 1) / 2
    height, width = image.shape[:2]
    mask = cv2.warpAffine(grid.astype(np.uint8), to_image, (width, height), flags=cv2.INTER_NEAREST)
    paint(image, np.asarray(mask, np.uint8), fill)
