"""GridMask: a regular grid of squares is taken out of the picture, more often the longer the training.

https://arxiv.org/abs/2001.04086. Boxes stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from sanderling.data.transforms.fill import Fill, Image, paint


@dataclass(frozen=True, kw_only=True, slots=True)
class GridMaskConfig:
    """PaddleDetection's values.

    >>> GridMaskConfig().probability_at(0.36)
    0.35
    """

    probability: Annotated[float, Field(ge=0, le=1)] = 0.7
    """That a picture is masked, once fully grown."""
    grow_until: Annotated[float, Field(ge=0, le=1)] = 0.72
    """Share of the run at which it is; published as 360,000 iterations, of the 500,000 of the long schedule."""
    bar: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Width of a bar, as a share of the grid's period."""
    inverted: bool = True
    """Keep the bars and take out the squares between them (published as mode 1); else the other way round."""
    fill: Fill = 0
    """The published code masks after the picture is normalised, where zero is the mean colour: "mean" does that."""

    def probability_at(self, progress: float) -> float:
        """The probability after this share of the run, 0..1."""
        return self.probability * (min(1.0, progress / self.grow_until) if self.grow_until > 0 else 1.0)


def mask_grid(image: Image, config: GridMaskConfig, *, progress: float, rng: np.random.Generator) -> None:
    """Mask a picture (uint8 HxWx3) with the probability of this share of the run, in place.

    The period is 2 pixels up to the picture's height, along both axes; where the grid begins is drawn for each axis.
    """
    if rng.random() >= config.probability_at(progress):
        return
    height, width = image.shape[:2]
    period = int(rng.integers(2, max(height, 3)))
    bar = min(max(int(period * config.bar + 0.5), 1), period - 1)
    start_y, start_x = rng.integers(period, size=2).tolist()
    in_bar_y = (np.arange(height) + start_y) % period < bar
    in_bar_x = (np.arange(width) + start_x) % period < bar
    in_bar = in_bar_y[:, None] | in_bar_x
    paint(image, (in_bar ^ config.inverted).view(np.uint8), config.fill)
