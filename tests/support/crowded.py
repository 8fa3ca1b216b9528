"""Boxes that overlap much, with everything that suppression stumbles over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def crowd(seed: int, count: int, *, classes: int = 1, extent: float = 60) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Boxes (N, 4) float32, scores (N) float32 and labels (N), with ties, twins and boxes without an area."""
    random = np.random.default_rng(seed)
    corners = random.uniform(0, extent, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(5, 40, (count, 2))], axis=1)
    twins = random.integers(0, max(count, 1), (2, count // 5))
    boxes[twins[0]] = boxes[twins[1]]
    boxes[random.random(count) < 0.05, 2:] = 0
    scores = random.integers(1, 20, count) / 20
    return boxes.astype(np.float32), scores.astype(np.float32), random.integers(0, classes, count)


def plain_iou(first: Floats, second: Floats) -> float:
    """Intersection over union of two boxes, with numbers of Python."""
    left, top, right, bottom = (float(side) for side in first)
    x0, y0, x1, y1 = (float(side) for side in second)
    shared = max(min(right, x1) - max(left, x0), 0) * max(min(bottom, y1) - max(top, y0), 0)
    areas = max(right - left, 0) * max(bottom - top, 0) + max(x1 - x0, 0) * max(y1 - y0, 0)
    return shared / (areas - shared) if areas > shared else 0.0
