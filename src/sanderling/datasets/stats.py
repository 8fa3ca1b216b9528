"""What a data set is made of, in plain numbers: classes, sizes, shapes, objects per picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.dataset import Dataset

SMALL_BELOW, LARGE_FROM = 32.0**2, 96.0**2
"""COCO's limits in square pixels of the original picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Smallest, quartiles and largest of some values; None where there are none."""

    smallest: float | None
    lower_quartile: float | None
    median: float | None
    upper_quartile: float | None
    largest: float | None

    @classmethod
    def of(cls, values: NDArray[Any]) -> Spread:
        """Measure the spread of values (any number of them)."""
        points = [None] * 5 if not len(values) else [round(float(at), 4) for at in np.quantile(values, _QUARTILES)]
        return cls(**dict(zip(_SPREAD_FIELDS, points, strict=True)))


_QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_SPREAD_FIELDS = ("smallest", "lower_quartile", "median", "upper_quartile", "largest")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassStats:
    """One class: objects (without crowds), pictures that show it, and its objects by COCO's areas."""

    name: str
    objects: int
    pictures: int
    small: int
    medium: int
    large: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitStats:
    """One split.

    Attributes:
        split: its name.
        pictures: how many.
        objects: boxes without crowds.
        crowds: boxes that stand for many objects.
        difficult: boxes that VOC's protocol leaves out.
        skipped: entries that the reader left out.
        backgrounds: pictures without any box.
        small, medium, large: objects by area: below 32 x 32, below 96 x 96, the rest (square pixels).
        widths, heights: pixels of the pictures whose size is known.
        picture_aspects: width by height of the pictures.
        box_aspects: width by height of the objects.
        box_shares: area of the objects as a share of their picture.
        objects_per_picture: over all pictures, backgrounds included.
        classes: one entry per class, in the data set's order.
    """

    split: str
    pictures: int
    objects: int
    crowds: int
    difficult: int
    skipped: int
    backgrounds: int
    small: int
    medium: int
    large: int
    widths: Spread
    heights: Spread
    picture_aspects: Spread
    box_aspects: Spread
    box_shares: Spread
    objects_per_picture: Spread
    classes: tuple[ClassStats, ...]

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Distributions:
    """The values behind the spreads, for plots: one entry per object or per picture."""

    box_sides: NDArray[np.float64]
    box_aspects: NDArray[np.float64]
    box_shares: NDArray[np.float64]
    objects_per_picture: NDArray[np.int64]


def distributions(dataset: Dataset) -> Distributions:
    """Measure every object and picture: side (root of the area, px), aspect, share of the picture, objects."""
    objects = ~dataset.crowd
    sides = (dataset.boxes_xyxy[:, 2:] - dataset.boxes_xyxy[:, :2])[objects]
    pictures = np.repeat(np.arange(len(dataset)), np.diff(dataset.first_box))[objects]
    surfaces = dataset.sizes_hw.astype(np.float64).prod(axis=1)[pictures]
    known = surfaces > 0
    return Distributions(
        box_sides=np.sqrt(sides.prod(axis=1)),
        box_aspects=sides[:, 0] / sides[:, 1],
        box_shares=sides.prod(axis=1)[known] / surfaces[known],
        objects_per_picture=np.bincount(pictures, minlength=len(dataset)).astype(np.int64),
    )


def measure(dataset: Dataset) -> SplitStats:
    """Sum up one split."""
    measured = distributions(dataset)
    objects = ~dataset.crowd
    heights, widths = dataset.sizes_hw[(dataset.sizes_hw > 0).all(axis=1)].astype(np.float64).T
    small, medium, large = _by_area(dataset.areas[objects])
    return SplitStats(
        split=dataset.split,
        pictures=len(dataset),
        objects=int(objects.sum()),
        crowds=int(dataset.crowd.sum()),
        difficult=int(dataset.difficult.sum()),
        skipped=len(dataset.skipped),
        backgrounds=int((np.diff(dataset.first_box) == 0).sum()),
        small=small,
        medium=medium,
        large=large,
        widths=Spread.of(widths),
        heights=Spread.of(heights),
        picture_aspects=Spread.of(widths / heights),
        box_aspects=Spread.of(measured.box_aspects),
        box_shares=Spread.of(measured.box_shares),
        objects_per_picture=Spread.of(measured.objects_per_picture),
        classes=_classes(dataset, objects),
    )


def _classes(dataset: Dataset, objects: NDArray[np.bool_]) -> tuple[ClassStats, ...]:
    pictures = np.repeat(np.arange(len(dataset)), np.diff(dataset.first_box))
    entries = []
    for label, name in enumerate(dataset.class_names):
        chosen = objects & (dataset.labels == label)
        small, medium, large = _by_area(dataset.areas[chosen])
        shown_in = len(np.unique(pictures[chosen]))
        entries.append(
            ClassStats(name=name, objects=int(chosen.sum()), pictures=shown_in, small=small, medium=medium, large=large)
        )
    return tuple(entries)


def _by_area(areas: NDArray[np.float64]) -> tuple[int, int, int]:
    small, large = int((areas < SMALL_BELOW).sum()), int((areas >= LARGE_FROM).sum())
    return small, len(areas) - small - large, large
