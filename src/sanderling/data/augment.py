"""What is varied in training, and the random draws of one window of samples. Axes: N samples of the window.

The defaults are NanoDet's published recipe, https://github.com/RangiLyu/nanodet, config/legacy_v0.x_configs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

Probability = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """How training pictures are varied. A pair is the smallest and the largest value, drawn evenly between.

    >>> AugmentConfig(mosaic=0.5).scale
    (0.6, 1.4)
    """

    scale: tuple[Factor, Factor] = (0.6, 1.4)
    """Enlargement after the picture was fitted to the network input."""
    stretch: tuple[Factor, Factor] = (1.0, 1.0)
    """Further enlargement of width and of height, drawn separately."""
    translate: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Largest shift to either side, as a share of the picture's width and height."""
    flip: Probability = 0.5
    """Probability of a mirror image, left to right."""
    mosaic: Probability = 0.0
    """Probability that a sample is put together from four pictures."""
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Largest change of brightness, as a share of white."""
    contrast: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]] = (0.6, 1.4)
    """Factor on all pixel values."""
    saturation: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]] = (0.5, 1.2)
    """Factor on the distance of a colour from its grey; 0 is grey."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Largest turn of the hue, as a share of the colour circle."""
    colour_probability: Probability = 0.5
    """Probability of each of the four changes of colour."""
    min_visible: Probability = 0.1
    """A box is dropped when a smaller share of its area is left in the picture."""
    min_side: Annotated[float, Field(ge=0)] = 2.0
    """A box is dropped when a side of what is left of it is shorter, in pixels of the network input."""
    detail: Factor = 1.0
    """JPEGs are decoded at no less than the fitted size times this, or times the largest scale if that is smaller."""

    def __post_init__(self) -> None:
        """Check that every range rises."""
        for name in ("scale", "stretch", "contrast", "saturation"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} = ({low}, {high}) must not fall; write the smaller value first")

    @classmethod
    def none(cls) -> AugmentConfig:
        """Every picture as it is, fitted to the network input."""
        return cls(
            scale=(1.0, 1.0),
            translate=0.0,
            flip=0.0,
            brightness=0.0,
            contrast=(1.0, 1.0),
            saturation=(1.0, 1.0),
            colour_probability=0.0,
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Draws:
    """The random numbers of N samples.

    Attributes:
        mosaic: bool N, made of four pictures.
        partners: int64 Nx3, places in the window of the other three.
        centre_xy: float64 Nx2, where the four meet, -0.5..0.5 from the middle as a share of the sides.
        scale_xy: float64 Nx2, enlargement of width and height.
        shift_xy: float64 Nx2, as a share of width and height.
        flip: bool N.
        brightness: float64 N, added, as a share of white.
        contrast: float64 N, factor.
        saturation: float64 N, factor.
        hue: float64 N, share of the colour circle.
    """

    mosaic: NDArray[np.bool_]
    partners: NDArray[np.int64]
    centre_xy: Floats
    scale_xy: Floats
    shift_xy: Floats
    flip: NDArray[np.bool_]
    brightness: Floats
    contrast: Floats
    saturation: Floats
    hue: Floats


def draw(config: AugmentConfig, rng: np.random.Generator, count: int, *, mosaic: bool = True) -> Draws:
    """Draw for `count` samples; the same generator state gives the same draws.

    Args:
        config: probabilities and ranges.
        rng: where the randomness comes from.
        count: N.
        mosaic: False leaves mosaic out and changes nothing else.
    """

    def sometimes(low: float, high: float, neutral: float) -> Floats:
        return np.where(rng.random(count) < config.colour_probability, rng.uniform(low, high, count), neutral)

    # Partners are distinct and never the sample itself where the window has four pictures; else they repeat.
    others = np.argsort(rng.random((count, max(count - 1, 1))), axis=1)[:, np.arange(3) % max(count - 1, 1)]
    return Draws(
        mosaic=(rng.random(count) < config.mosaic) & mosaic,
        partners=(np.arange(count)[:, None] + 1 + others) % count,
        centre_xy=rng.uniform(-0.5, 0.5, (count, 2)),
        scale_xy=rng.uniform(*config.scale, (count, 1)) * rng.uniform(*config.stretch, (count, 2)),
        shift_xy=rng.uniform(-config.translate, config.translate, (count, 2)),
        flip=rng.random(count) < config.flip,
        brightness=sometimes(-config.brightness, config.brightness, 0.0),
        contrast=sometimes(*config.contrast, 1.0),
        saturation=sometimes(*config.saturation, 1.0),
        hue=sometimes(-config.hue, config.hue, 0.0),
    )
