"""Matrix NMS: scores lowered by overlaps, all boxes at once.

https://arxiv.org/abs/2003.10152. A better box i takes from the score of box j as much as their IoU says, and the less
of it the more i is covered itself by a box that is better still (c_i is its largest IoU with one):

- linear: `(1 - IoU_ij) / (1 - c_i)`;
- Gaussian: `exp(-(IoU_ij**2 - c_i**2) / sigma)`.

The smallest of these shares over all i is left of the score, 1 at most. Sigma divides, as in the paper and in Soft-NMS;
code that multiplies by it (PaddleDetection, by 2.0) means 1 / sigma, so that its default is 0.5 here. A box that equals
a better one (c_i = 1) takes nothing from others: the one that it equals does.

Axes: N boxes; K boxes of a block, R better ones that they are compared with.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sanderling.ops.array.boxes import Boxes

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_FIRST = 1000
"""So many boxes are ranked first; four times as many while others could still be among the wanted ones."""
_BLOCK, _BETTER = 64, 256
"""Boxes are compared in tiles of this size, so that memory does not grow with their number and the cache holds it."""
_SMALLEST = float(np.finfo(np.float64).tiny)
"""Stands for 0 as a divisor; what it divides is 0 as well, or does not count once divided, being above 1."""


def matrix_nms(
    boxes_xyxy: Boxes,
    scores: NDArray[np.floating],
    labels: NDArray[np.integer] | None = None,
    *,
    decay: Literal["linear", "gaussian"] = "linear",
    sigma: float = 0.5,
    score_threshold: float = 0.0,
    limit: int | None = None,
) -> tuple[Indices, NDArray[np.floating]]:
    """Lower every score by the overlaps with better boxes, and rank the boxes anew.

    Args:
        boxes_xyxy: (N, 4), finite.
        scores: (N), 0..1; of equal ones the first counts as the better.
        labels: (N) classes, where only boxes of the same class touch each other's score.
        decay: see the top of this file.
        sigma: width of the Gaussian decay.
        score_threshold: boxes whose lowered score is not above this are dropped.
        limit: at most so many boxes; the result is the same as without, cut, and there sooner.

    Returns:
        Indices of the boxes that are left, best first, and their lowered scores.

    >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [2, 0, 12, 10], [50, 50, 60, 60]], float)
    >>> kept, lowered = matrix_nms(boxes, np.array([0.9, 0.8, 0.7, 0.6]))
    >>> kept.tolist(), lowered.round(4).tolist()
    ([0, 3, 2, 1], [0.9, 0.6, 0.2333, 0.1455])
    """
    order = np.argsort(-scores, kind="stable")
    ranked = len(order) if limit is None else min(_FIRST, len(order))
    while True:
        best = order[:ranked]
        lowered = scores[best] * _shares(boxes_xyxy[best], None if labels is None else labels[best], decay, sigma)
        left = np.flatnonzero(lowered > score_threshold)
        left = left[np.lexsort((best[left], -lowered[left]))][:limit]
        # No box can end above its own score.
        if ranked == len(order) or (len(left) == limit and np.all(lowered[left] > scores[order[ranked]])):
            return best[left].astype(np.int64), lowered[left].astype(scores.dtype)
        ranked = min(4 * ranked, len(order))


def _shares(boxes_xyxy: Boxes, labels: NDArray[np.integer] | None, decay: str, sigma: float) -> Floats:
    """What is left (N), as a share, of the scores of boxes (N, 4) that come best first."""
    sides = np.ascontiguousarray(boxes_xyxy.T, np.float64)
    if labels is None or not len(labels):
        return _shares_by_class(sides, np.zeros(len(boxes_xyxy), np.int64), decay, sigma)
    order = np.argsort(labels, kind="stable")
    sides = sides[:, order]
    _, first, number = np.unique(labels[order], return_index=True, return_inverse=True)
    # Each class at a place of its own; double precision has digits enough for the way there.
    sides += number * (sides.max() - sides.min() + 1)
    shares = np.empty(len(order))
    shares[order] = _shares_by_class(sides, first[number], decay, sigma)
    return shares


def _shares_by_class(sides: Floats, first: Indices, decay: str, sigma: float) -> Floats:
    """The same of sides (4, N) by class, then best first; `first` (N) is where a box's class starts."""
    count = sides.shape[1]
    areas = np.maximum(sides[2] - sides[0], 0) * np.maximum(sides[3] - sides[1], 0)
    table = np.vstack((sides, areas))
    space = np.empty((3, _BLOCK, _BETTER))
    covered, shares = np.zeros(count), np.ones(count)
    for start in range(0, count, _BLOCK):
        block = slice(start, min(start + _BLOCK, count))
        better = [slice(at, min(at + _BETTER, start)) for at in range(first[start], start, _BETTER)]
        # The block itself comes last: how far its boxes are covered is known only then.
        for others in (*better, block):
            overlaps = _iou(table[:, block], table[:, others], space)
            if others is block:
                overlaps *= np.tri(len(overlaps), k=-1)
            np.maximum(covered[block], overlaps.max(axis=1), out=covered[block])
            np.minimum(shares[block], _smallest(overlaps, covered[others], decay, sigma), out=shares[block])
    return shares


def _smallest(overlaps: Floats, covered: Floats, decay: str, sigma: float) -> Floats:
    """The smallest share (K) over the better boxes, from overlaps (K, R), which it overwrites, and covers (R)."""
    if decay == "linear":
        np.subtract(1, overlaps, out=overlaps)
        overlaps *= 1 / np.maximum(1 - covered, _SMALLEST)
        return np.asarray(overlaps.min(axis=1))
    overlaps *= overlaps
    overlaps -= covered * covered
    return np.exp(overlaps.max(axis=1) / -sigma)


def _iou(block: Floats, others: Floats, space: Floats) -> Floats:
    """Intersection over union (K, R) of boxes as sides and area, (5, K) and (5, R), 0 where both are empty.

    It is computed in `space`, at least (3, K, R).
    """
    left, top, right, bottom, area = block[:, :, None]
    shared, height, spare = space[:, : block.shape[1], : others.shape[1]]
    np.minimum(others[2], right, out=shared)
    shared -= np.maximum(others[0], left, out=spare)
    np.maximum(shared, 0, out=shared)
    np.minimum(others[3], bottom, out=height)
    height -= np.maximum(others[1], top, out=spare)
    np.maximum(height, 0, out=height)
    shared *= height
    union = np.add(others[4], area, out=spare)
    union -= shared
    np.maximum(union, _SMALLEST, out=union)
    shared /= union
    return shared
