"""What is varied in training, and the random draws of one window of samples. Axes: N samples of the window.

The defaults are NanoDet's published recipe, https://github.com/RangiLyu/nanodet, config/legacy_v0.x_configs.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sanderling.data.transforms.auto_augment import AutoAugmentConfig
from sanderling.data.transforms.blend import CutMixConfig, MixupConfig
from sanderling.data.transforms.crop import CropConfig
from sanderling.data.transforms.cutout import ActivationCutoutConfig, CutoutConfig
from sanderling.data.transforms.erase import RandomErasingConfig
from sanderling.data.transforms.expand import ExpandConfig
from sanderling.data.transforms.grid_mask import GridMaskConfig

Probability = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchSizes:
    """One input size for every batch, drawn evenly.

    PP-YOLO draws from 320, 352, ... 608 (PaddleDetection, configs/ppyolo, `BatchRandomResize`). It draws the
    interpolation too, from nearest to Lanczos; here it is linear, or a mean where a picture shrinks to half or less.
    """

    smallest: Annotated[int, Field(gt=0)] = 320
    """Longer side in pixels; the other follows the network input's shape."""
    largest: Annotated[int, Field(gt=0)] = 608
    step: Annotated[int, Field(gt=0)] = 32
    """Both sides are multiples of this, which has to be one of the network's largest stride."""

    def __post_init__(self) -> None:
        """Check that there is something to draw from."""
        if self.smallest > self.largest:
            raise ValueError(f"smallest = {self.smallest} is above largest = {self.largest}; write the smaller first")
        if self.smallest % self.step or self.largest % self.step:
            raise ValueError(
                f"smallest = {self.smallest} and largest = {self.largest} must be multiples of {self.step}"
            )

    def sizes_hw(self, size_hw: tuple[int, int]) -> NDArray[np.int64]:
        """All heights and widths (Mx2) for a network input of that shape."""
        longer = np.arange(self.smallest, self.largest + 1, self.step)
        sides = np.array(size_hw) * longer[:, None] / max(size_hw)
        return (np.maximum(1, np.rint(sides / self.step)) * self.step).astype(np.int64)


@dataclass(frozen=True, kw_only=True, slots=True)
class StitcherConfig:
    """When a batch is put together from its own pictures at half their size, four to a sample.

    https://arxiv.org/abs/2004.12432. A batch is stitched where small objects gave little of the box loss of the batch
    before it; the first batch of a run is. It goes on in the last epochs too, as published.
    """

    threshold: Probability = 0.1
    """Share of the box loss below which the next batch is stitched; 0 never stitches."""
    small_side: Factor = 32.0
    """A box is small up to the area of a square with this side, in pixels of the network input."""


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
    """Probability that a sample is put together from several pictures."""
    mosaic_tiles: Literal[4, 9] = 4
    """How many they are."""
    mixup: MixupConfig | None = None
    """Two samples shine through each other. A sample that is mixed is no mosaic."""
    cutmix: CutMixConfig | None = None
    """A part of a sample is pasted over another one."""
    expand: ExpandConfig | None = None
    """A picture stands in a larger plane, so that its objects become small."""
    crop: CropConfig | None = None
    """A part of a picture around some of its objects, so that they become large."""
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest turn to either side, in degrees."""
    shear: Annotated[float, Field(ge=0, le=45)] = 0.0
    """Largest slant of either axis to either side, in degrees."""
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
    auto_augment: AutoAugmentConfig | None = None
    """A learned sub-policy of moves and changes for every sample."""
    erase: RandomErasingConfig | None = None
    """Rectangles are taken out of the picture, of its objects, or of both."""
    cutout: CutoutConfig | None = None
    """Squares are blotted out."""
    activation_cutout: ActivationCutoutConfig | None = None
    """What the network looked at most in the epoch before is blotted out."""
    stitcher: StitcherConfig | None = None
    """Whole batches of small objects, while those add little to the loss."""
    grid_mask: GridMaskConfig | None = None
    """A grid of squares is blotted out, more often the longer the training."""
    sizes: BatchSizes | None = None
    """Another input size for every batch; None keeps to the network's."""
    detail: Factor = 1.0
    """JPEGs are decoded at no less than the fitted size times this, or times the largest enlargement (by scale, stretch
    and crop) if that is smaller."""

    def __post_init__(self) -> None:
        """Check that every range rises."""
        for name in ("scale", "stretch", "contrast", "saturation"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} = ({low}, {high}) must not fall; write the smaller value first")

    @property
    def draws_in_place(self) -> bool:
        """Whether something that is drawn by lot happens to samples after they were warped."""
        return any(part is not None for part in (self.auto_augment, self.erase, self.cutout, self.grid_mask))

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
        partners: int64 Nx8, places in the window of other pictures, for the tiles of a mosaic in their order.
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


def joined(first: Draws, second: Draws) -> Draws:
    """The draws of some samples and of some more."""
    return Draws(
        **{
            field.name: np.concatenate([getattr(first, field.name), getattr(second, field.name)])
            for field in dataclasses.fields(Draws)
        }
    )


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

    # Partners are distinct and never the sample itself where the window has pictures enough; else they repeat.
    others = np.argsort(rng.random((count, max(count - 1, 1))), axis=1)[:, np.arange(8) % max(count - 1, 1)]
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


def draw_turns(config: AugmentConfig, rng: np.random.Generator, count: int) -> Floats:
    """Linear maps float64 Nx2x3 that turn and shear a plane, without shift; the unit matrix where nothing is varied."""
    angle = np.deg2rad(rng.uniform(-config.rotate, config.rotate, count))
    slant = np.tan(np.deg2rad(rng.uniform(-config.shear, config.shear, (count, 2))))
    turns = np.zeros((count, 2, 3))
    cosine, sine = np.cos(angle), np.sin(angle)
    # First the turn, then both slants at once.
    turns[:, 0, 0], turns[:, 0, 1] = cosine + slant[:, 0] * sine, slant[:, 0] * cosine - sine
    turns[:, 1, 0], turns[:, 1, 1] = sine + slant[:, 1] * cosine, cosine - slant[:, 1] * sine
    return turns
