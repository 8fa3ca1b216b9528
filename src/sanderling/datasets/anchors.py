"""Anchors for a data set: k-means on the shapes of its boxes at the size at which a network sees them.

Shapes are compared by IoU with one centre, as in YOLOv2, https://arxiv.org/abs/1612.08242, section 2. Axes: T boxes,
S shapes, K anchors.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError, UsageError
from sanderling.pictures import place
from sanderling.structures.artefact import PictureRule

Floats = NDArray[np.float64]

DIGITS = 2
"""Anchors are rounded to so many digits of a pixel before they are measured."""

_RESTARTS = 10
_MOST_ROUNDS = 100
"""Of k-means. It ends when no box changes its anchor; with many boxes what changes in the end is not worth the time."""
_MOST_SHAPES = 10_000
"""So many boxes are clustered one by one; more are joined first where their shapes are nearly the same."""
_EQUAL, _NEAR = 0.001, 0.04
"""Sides that differ by less are equal, in pixels; and of boxes that are joined, as a share."""
_FIRST_STEP, _LAST_STEP = 0.08, 0.002
"""Shares by which the last touch tries to change a side."""
_LEAST_GAIN = 1e-6
"""By less the mean best IoU need not rise."""
_AT_ONCE = 1 << 15
"""So many boxes are compared at once: what fits into a processor's cache."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Anchors:
    """Fitted anchors.

    Attributes:
        sizes_wh: float64 Kx2, width and height in pixels of the network input, by rising area.
        shares: float64 K, share of the boxes whose best anchor this is.
        mean_best_iou: over all boxes, of each box with its best anchor.
        shapes: how many shapes were clustered: the boxes, or fewer where nearly equal ones were joined.
    """

    sizes_wh: Floats
    shares: Floats
    mean_best_iou: float
    shapes: int


def box_sizes(dataset: Dataset, rule: PictureRule) -> Floats:
    """Widths and heights (T, 2) of the boxes in pixels of the network input, float64.

    Crowd regions, boxes without a size and boxes of pictures of unknown size are left out.
    """
    sizes_hw, which = np.unique(dataset.sizes_hw, axis=0, return_inverse=True)
    scales = np.zeros((len(sizes_hw), 2))
    for index, (height, width) in enumerate(sizes_hw.tolist()):
        if height > 0 and width > 0:
            scales[index] = place((height, width), rule).matrix[[0, 1], [0, 1]]
    of_box = np.repeat(which.reshape(-1), np.diff(dataset.first_box))
    sizes_wh = (dataset.boxes_xyxy[:, 2:] - dataset.boxes_xyxy[:, :2]) * scales[of_box]
    return np.asarray(sizes_wh[~dataset.crowd & (sizes_wh > 0).all(1)])


def fit_anchors(sizes_wh: Floats, count: int, *, seed: int, restarts: int = _RESTARTS) -> Anchors:
    """Find the anchors that the boxes overlap best.

    K-means with centres that are the mean width and height of their boxes, begun `restarts` times from boxes that are
    far from one another; then the sides of the anchors are moved a little as long as the mean best IoU rises, which
    means alone do not make as large as they could. Many boxes are joined to fewer shapes for the search; what is
    reported is measured on all of them.

    Args:
        sizes_wh: (T, 2), pixels, all above 0.
        count: K.
        seed: the same seed gives the same anchors.
        restarts: how often k-means begins anew; the best result counts.

    Raises:
        UsageError: `count` is below 1 or `seed` below 0.
        DataError: there are fewer different boxes than anchors.

    >>> boxes = np.array([[10.0, 20.0], [10.0, 20.0], [60.0, 30.0]])
    >>> fit_anchors(boxes, 2, seed=0).sizes_wh.tolist()
    [[10.0, 20.0], [60.0, 30.0]]
    """
    if count < 1:
        raise UsageError(f"count = {count}: at least 1 anchor is expected")
    if seed < 0:
        raise UsageError(f"seed = {seed}: 0 or more is expected")
    shapes, weights = _joined(sizes_wh)
    if len(shapes) < count:
        raise DataError(
            f"{len(shapes)} different shapes of boxes do not give {count} anchors; ask for fewer, or give more pictures"
        )
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(restarts):
        anchors = _k_means(shapes, weights, _far_apart(shapes, weights, count, rng))
        found.append(_last_touch(shapes, weights, anchors))
    anchors = found[int(np.argmax([weights @ best_anchor(shapes, anchors)[1] for anchors in found]))]
    anchors = np.maximum(np.round(anchors, DIGITS), 10.0**-DIGITS)
    anchors = anchors[np.lexsort((anchors[:, 0], anchors.prod(1)))]
    best, overlap = best_anchor(sizes_wh, anchors)
    return Anchors(
        sizes_wh=anchors,
        shares=np.bincount(best, minlength=count) / len(best),
        mean_best_iou=float(overlap.mean()),
        shapes=len(shapes),
    )


def best_anchor(sizes_wh: Floats, anchors_wh: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The anchor of each box (T, 2) that it overlaps best, the first of equal ones, and by what IoU.

    >>> best_anchor(np.array([[10.0, 10.0]]), np.array([[40.0, 40.0], [10.0, 20.0]]))[1].tolist()
    [0.5]
    """
    best, overlap = np.zeros(len(sizes_wh), np.int64), np.zeros(len(sizes_wh))
    for start in range(0, len(sizes_wh), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        found = shape_iou(sizes_wh[part], anchors_wh)
        best[part] = found.argmax(0)
        overlap[part] = found.max(0)
    return best, overlap


def shape_iou(sizes_wh: Floats, anchors_wh: Floats) -> Floats:
    """IoU (K, T) of anchors (K, 2) and boxes (T, 2) laid over one another."""
    # Sides apart: loops over two numbers are far too short to be fast.
    widths, heights = np.ascontiguousarray(sizes_wh.T)
    shared = np.minimum(widths, anchors_wh[:, :1])
    shared *= np.minimum(heights, anchors_wh[:, 1:])
    union = widths * heights + anchors_wh.prod(1)[:, None]
    union -= shared
    shared /= union
    return np.asarray(shared)


def split_over_levels(anchors_wh: Floats, counts: Sequence[int]) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Anchors by rising area, dealt to levels from the finest on, as many as each gets.

    >>> split_over_levels(np.array([[10.0, 13.0], [16.0, 30.0], [33.0, 23.5]]), [1, 2])
    (((10.0, 13.0),), ((16.0, 30.0), (33.0, 23.5)))
    """
    sizes = iter((width, height) for width, height in anchors_wh.tolist())
    return tuple(tuple(itertools.islice(sizes, count)) for count in counts)


def _joined(sizes_wh: Floats) -> tuple[Floats, Floats]:
    """Different shapes (S, 2) and how many boxes each stands for (S)."""
    shapes, counts = _means_of_cells(sizes_wh, sizes_wh / _EQUAL)
    if len(shapes) > _MOST_SHAPES:
        shapes, counts = _means_of_cells(sizes_wh, np.log(sizes_wh) / np.log1p(_NEAR))
    return shapes, counts.astype(np.float64)


def _means_of_cells(sizes_wh: Floats, places: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The mean of the boxes (T, 2) whose places (T, 2) round to the same whole numbers, and how many they are."""
    cells = np.rint(places).astype(np.int64)
    cells -= cells.min(0, initial=0)
    keys = cells[:, 0] * (cells[:, 1].max(initial=0) + 1) + cells[:, 1]
    _, which, counts = np.unique(keys, return_inverse=True, return_counts=True)
    sums = [np.bincount(which, sizes_wh[:, side], minlength=len(counts)) for side in (0, 1)]
    return np.stack(sums, 1) / counts[:, None], counts


def _far_apart(shapes: Floats, weights: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Begin with a shape at random; each next one is drawn the more likely the less those before overlap it.

    K-means++, https://theory.stanford.edu/~sergei/papers/kMeansPP-soda.pdf, with 1 - IoU as what is summed.
    """
    chosen = [rng.choice(len(shapes), p=weights / weights.sum())]
    missing = np.ones(len(shapes))
    while len(chosen) < count:
        last = shapes[chosen[-1:]]
        missing = np.minimum(missing, (1 - shape_iou(shapes, last)[0]).clip(min=0))
        missing[chosen[-1]] = 0
        chances = missing * weights
        chosen.append(rng.choice(len(shapes), p=chances / chances.sum()))
    return shapes[chosen]


def _k_means(shapes: Floats, weights: Floats, anchors: Floats) -> Floats:
    """Move anchors (K, 2) to the means of their boxes until no box changes its anchor."""
    count = len(anchors)
    before = np.full(len(shapes), -1)
    for _ in range(_MOST_ROUNDS):
        best, _ = best_anchor(shapes, anchors)
        if np.array_equal(best, before):
            break
        before = best
        mass = np.bincount(best, weights, minlength=count)
        sums = [np.bincount(best, weights * shapes[:, side], minlength=count) for side in (0, 1)]
        # An anchor that has lost all boxes stays where it is.
        anchors = np.where(mass[:, None] > 0, np.stack(sums, 1) / np.maximum(mass, 1)[:, None], anchors)
    return anchors


def _last_touch(shapes: Floats, weights: Floats, anchors: Floats) -> Floats:
    """Change one side of one anchor at a time, by smaller and smaller steps, as long as the mean best IoU rises."""
    overlaps = shape_iou(shapes, anchors)
    step = _FIRST_STEP
    while step >= _LAST_STEP:
        improved = False
        for index in range(len(anchors)):
            rest = np.delete(overlaps, index, 0).max(0, initial=0)
            fit = weights @ np.maximum(rest, overlaps[index])
            for side in (0, 1):
                for factor in (1 + step, 1 / (1 + step)):
                    moved = anchors[index].copy()
                    moved[side] *= factor
                    tried = shape_iou(shapes, moved[None])[0]
                    found = weights @ np.maximum(rest, tried)
                    if found > fit * (1 + _LEAST_GAIN):
                        anchors = np.concatenate([anchors[:index], moved[None], anchors[index + 1 :]])
                        overlaps[index], fit, improved = tried, found, True
                        break
        if not improved:
            step /= 2
    return anchors
