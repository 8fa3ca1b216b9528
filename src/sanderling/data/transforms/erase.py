"""Random erasing: rectangles of any shape are taken out of the picture, out of objects, or both.

https://arxiv.org/abs/1708.04896: IRE erases in the whole picture, ORE in every box as if it were a picture, I+ORE does
one after the other. Boxes stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sanderling.data.transforms.fill import Fill, Image, flood, region_of


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomErasingConfig:
    """The published values; a pair is the smallest and the largest, drawn evenly between.

    >>> RandomErasingConfig(where="both").area
    (0.02, 0.4)
    """

    where: Literal["picture", "object", "both"] = "picture"
    """In the whole picture (IRE), in each object (ORE), or first the one, then the other (I+ORE)."""
    probability: Annotated[float, Field(ge=0, le=1)] = 0.5
    """For the picture, and for each object on its own."""
    area: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]] = (0.02, 0.4)
    """Of the rectangle, as a share of the picture or of the box."""
    aspect: tuple[
        Annotated[float, Field(gt=0, allow_inf_nan=False)], Annotated[float, Field(gt=0, allow_inf_nan=False)]
    ] = (0.3, 1 / 0.3)
    """Height of the rectangle by its width."""
    tries: Annotated[int, Field(ge=1)] = 100
    """Rectangles drawn until one fits; if none does, nothing is erased."""
    fill: Literal["random"] | Fill = "mean"
    """Every pixel drawn on its own, as in the paper, or one colour; the published code takes the mean."""

    def __post_init__(self) -> None:
        """Check that both ranges rise."""
        for name in ("area", "aspect"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} = ({low}, {high}) must not fall; write the smaller value first")


def erase(
    image: Image, boxes_xyxy: NDArray[np.floating], config: RandomErasingConfig, rng: np.random.Generator
) -> None:
    """Erase in a picture, in place.

    Args:
        image: uint8 HxWx3.
        boxes_xyxy: Tx4, pixels of the picture.
        config: where, how often, how much.
        rng: where the randomness comes from.
    """
    regions = [] if config.where == "object" else [image]
    if config.where != "picture":
        regions += [region_of(image, box) for box in boxes_xyxy.tolist()]
    fires = rng.random(len(regions)) < config.probability
    for index in np.flatnonzero(fires).tolist():
        _erase_in(regions[index], config, rng)


def _erase_in(region: Image, config: RandomErasingConfig, rng: np.random.Generator) -> None:
    height, width = region.shape[:2]
    areas = rng.uniform(*config.area, config.tries) * (height * width)
    aspects = rng.uniform(*config.aspect, config.tries)
    heights, widths = np.rint(np.sqrt(areas * aspects)), np.rint(np.sqrt(areas / aspects))
    fits = (heights < height) & (widths < width) & (heights > 0) & (widths > 0)
    if not fits.any():
        return
    first = int(fits.argmax())
    tall, wide = int(heights[first]), int(widths[first])
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    hole = region[top : top + tall, left : left + wide]
    if config.fill == "random":
        hole[:] = rng.integers(0, 256, hole.shape, np.uint8)
    else:
        flood(hole, config.fill)
