"""Expand: the picture stands on a larger canvas, so that its objects become smaller; no pixels are touched.

SSD's zooming out, https://arxiv.org/abs/1512.02325, with PP-YOLO's values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from sanderling.data.transforms.fill import Fill


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpandConfig:
    """PaddleDetection's values; its older reader for PP-YOLO went up to a ratio of 2.

    >>> ExpandConfig().ratio
    (1.0, 4.0)
    """

    probability: Annotated[float, Field(ge=0, le=1)] = 0.5
    """That a picture is expanded."""
    ratio: tuple[
        Annotated[float, Field(ge=1, allow_inf_nan=False)], Annotated[float, Field(ge=1, allow_inf_nan=False)]
    ] = (1.0, 4.0)
    """Sides of the canvas by the picture's, smallest and largest, drawn evenly between."""
    fill: Fill = "mean"
    """Of the canvas."""

    def __post_init__(self) -> None:
        """Check that the range rises."""
        low, high = self.ratio
        if low > high:
            raise ValueError(f"ratio = ({low}, {high}) must not fall; write the smaller value first")


class Expansion(NamedTuple):
    """A canvas and the picture's place on it, original pixels."""

    canvas_xy: tuple[int, int]
    """Width and height of the canvas."""
    offset_xy: tuple[int, int]
    """Where the picture begins; add it to boxes."""


def draw_expand(size_xy: tuple[int, int], config: ExpandConfig, rng: np.random.Generator) -> Expansion:
    """The canvas of a picture of this width and height; the picture itself when it is not expanded."""
    expanded, ratio, place = rng.random() < config.probability, rng.uniform(*config.ratio), rng.random(2)
    if not expanded:
        return Expansion(canvas_xy=size_xy, offset_xy=(0, 0))
    canvas = int(size_xy[0] * ratio), int(size_xy[1] * ratio)
    offset_x, offset_y = (int(place[axis] * (canvas[axis] - size_xy[axis] + 1)) for axis in (0, 1))
    return Expansion(canvas_xy=canvas, offset_xy=(offset_x, offset_y))
