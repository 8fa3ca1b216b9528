"""From boxes and scores of every point to detections: threshold, NMS, back to the original picture.

Axes: A points, C classes, N detections.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sanderling.ops.array.boxes import Boxes
from sanderling.ops.array.nms import greedy_nms
from sanderling.structures.artefact import PostprocessRule

MOST_CANDIDATES = 3000
"""So many candidates, the best scored, go into suppression, which keeps it fast on a noisy network. A further one could
matter only where all of these leave less than the wanted number of detections."""


def postprocess(
    boxes_xyxy: Boxes,
    scores: NDArray[np.floating],
    *,
    to_original: Callable[[Boxes], NDArray[np.float32]],
    rule: PostprocessRule,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Turn one picture's network output into detections.

    Of the points above the threshold the `MOST_CANDIDATES` best go on. Scores that are NaN, and boxes that are NaN or
    infinite, never do.

    Args:
        boxes_xyxy: (A, 4) pixels of the network input.
        scores: (A, C), 0..1.
        to_original: moves boxes into the original picture and clips them, `Placement.to_original`.
        rule: thresholds and the kind of suppression.

    Returns:
        boxes_xyxy (N, 4) in the original picture, scores (N) and labels (N), best first.
    """
    points, labels, confidences = _candidates(scores, rule)
    boxes = boxes_xyxy[points]
    finite = np.isfinite(boxes).all(axis=1)
    if not finite.all():
        boxes, labels, confidences = boxes[finite], labels[finite], confidences[finite]
    if len(boxes) > MOST_CANDIDATES:
        best = np.argsort(-confidences, kind="stable")[:MOST_CANDIDATES]
        boxes, labels, confidences = boxes[best], labels[best], confidences[best]
    if len(boxes):
        apart = boxes
        if not rule.class_agnostic:
            # Moving each class to its own place lets one pass suppress per class.
            extent = float(boxes.max() - boxes.min()) + 1
            apart = boxes + (labels * extent)[:, None]
        kept = greedy_nms(apart, confidences, rule.iou, limit=rule.max_detections)
        boxes, labels, confidences = boxes[kept], labels[kept], confidences[kept]
    return to_original(boxes), confidences.astype(np.float32), labels.astype(np.int64)


def _candidates(
    scores: NDArray[np.floating], rule: PostprocessRule
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.floating]]:
    """Points, labels and confidences above the threshold."""
    if rule.multi_label:
        # One flat pass: np.nonzero on two axes is several times slower when little passes.
        flat = np.flatnonzero(scores > rule.score)
        points, labels = np.divmod(flat, scores.shape[1])
        return points, labels, scores.ravel()[flat]
    labels = scores.argmax(axis=1)
    confidences = scores[np.arange(len(scores)), labels]
    if np.isnan(confidences).any():  # argmax takes NaN for the largest
        return _candidates(np.where(np.isnan(scores), -np.inf, scores), rule)
    points = np.flatnonzero(confidences > rule.score)
    return points, labels[points], confidences[points]
