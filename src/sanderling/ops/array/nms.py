"""Greedy non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sanderling.ops.array.boxes import Boxes


def greedy_nms(
    boxes_xyxy: Boxes, scores: NDArray[np.floating], iou_threshold: float, *, limit: int | None = None
) -> NDArray[np.int64]:
    """Keep the best box, drop all that overlap it by more than the threshold, repeat.

    Args:
        boxes_xyxy: (N, 4).
        scores: (N); equal scores keep their order.
        iou_threshold: a box with a larger IoU with a kept one is dropped.
        limit: stop after so many.

    Returns:
        Indices of the kept boxes, best first.
    """
    order = np.argsort(-scores, kind="stable")
    left, top, right, bottom = np.ascontiguousarray(boxes_xyxy[order].T)
    areas = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    alive = np.arange(len(order))
    kept: list[int] = []
    while len(alive) and (limit is None or len(kept) < limit):
        best, rest = alive[0], alive[1:]
        kept.append(int(best))
        shared = np.maximum(np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest]), 0)
        shared *= np.maximum(np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest]), 0)
        alive = rest[shared <= iou_threshold * (areas[best] + areas[rest] - shared)]
    return order[kept].astype(np.int64)
