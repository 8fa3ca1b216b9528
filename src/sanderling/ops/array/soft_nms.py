"""Soft-NMS: greedy suppression that lowers scores instead of dropping boxes.

https://arxiv.org/abs/1704.04503. The best box is taken; every other one of its class that is left has its score
multiplied by

- linear: `1 - IoU`, where the IoU is above a threshold;
- Gaussian: `exp(-IoU**2 / sigma)`;

and so on with the best of what is left. Axes: N boxes, C classes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sanderling.ops.array.boxes import Boxes

Floats = NDArray[np.float64]


def soft_nms(
    boxes_xyxy: Boxes,
    scores: NDArray[np.floating],
    labels: NDArray[np.integer] | None = None,
    *,
    decay: Literal["linear", "gaussian"] = "gaussian",
    sigma: float = 0.5,
    iou_threshold: float = 0.3,
    score_threshold: float = 0.0,
    limit: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """Take the best box, lower the scores of those that overlap it, repeat.

    Args:
        boxes_xyxy: (N, 4), finite.
        scores: (N), 0..1; of equal ones the first of a class is taken first, and the lower class before the higher.
        labels: (N) classes, where only boxes of the same class touch each other's score.
        decay: see the top of this file.
        sigma: width of the Gaussian decay.
        iou_threshold: the linear decay spares boxes that overlap by no more than this.
        score_threshold: boxes whose lowered score is not above this are dropped.
        limit: stop after so many.

    Returns:
        Indices of the boxes that are left, best first, and their lowered scores.

    >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]], float)
    >>> kept, lowered = soft_nms(boxes, np.array([0.9, 0.8, 0.6]), decay="linear")
    >>> kept.tolist(), lowered.round(4).tolist()
    ([0, 2, 1], [0.9, 0.6, 0.1455])
    """
    candidates = np.flatnonzero(scores > score_threshold)
    if not len(candidates) or limit == 0:
        return np.zeros(0, np.int64), scores[:0]
    classes = np.zeros(len(candidates), np.int64) if labels is None else labels[candidates]
    order = np.argsort(classes, kind="stable")
    candidates, classes = candidates[order], classes[order]
    starts = np.flatnonzero(np.diff(classes, prepend=classes[0] - 1))
    parts = np.split(candidates, starts[1:])
    groups = [_Group(boxes_xyxy[part], scores[part]) for part in parts]
    best = np.array([group.best() for group in groups])
    kept: list[int] = []
    lowered: list[float] = []
    while limit is None or len(kept) < limit:
        number = int(best.argmax())
        if not best[number] > score_threshold:
            break
        lowered.append(float(best[number]))
        kept.append(int(parts[number][groups[number].take(decay, sigma, iou_threshold)]))
        best[number] = groups[number].best()
    return np.array(kept, np.int64), np.array(lowered, scores.dtype)


class _Group:
    """The boxes (N, 4) of one class and what is left of their scores; a box that was taken scores -1."""

    def __init__(self, boxes_xyxy: Boxes, scores: NDArray[np.floating]) -> None:
        self.left, self.top, self.right, self.bottom = np.ascontiguousarray(boxes_xyxy.T, np.float64)
        self.areas = np.maximum(self.right - self.left, 0) * np.maximum(self.bottom - self.top, 0)
        self.scores = scores.astype(np.float64)

    def best(self) -> float:
        """The highest score that is left."""
        return float(self.scores.max())

    def take(self, decay: str, sigma: float, iou_threshold: float) -> int:
        """Take the best box, lower the others' scores, and say which it was."""
        taken = int(self.scores.argmax())
        self.scores[taken] = -1
        shared = np.minimum(self.right[taken], self.right) - np.maximum(self.left[taken], self.left)
        shared = np.maximum(shared, 0, out=shared)
        height = np.minimum(self.bottom[taken], self.bottom) - np.maximum(self.top[taken], self.top)
        shared *= np.maximum(height, 0, out=height)
        # Most boxes do not meet this one.
        met = np.flatnonzero((shared > 0) & (self.scores > 0))
        overlaps = shared[met] / (self.areas[taken] + self.areas[met] - shared[met])
        if decay == "linear":
            shares = np.where(overlaps > iou_threshold, 1 - overlaps, 1)
        else:
            shares = np.exp(overlaps * overlaps / -sigma)
        self.scores[met] *= shares
        return taken
