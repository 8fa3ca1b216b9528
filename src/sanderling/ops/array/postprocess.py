"""From boxes and scores of every point to detections: threshold, suppression, back to the original picture.

Axes: A points, C classes, K candidates, N detections.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sanderling.ops.array.boxes import Boxes
from sanderling.ops.array.matrix_nms import matrix_nms
from sanderling.ops.array.nms import greedy_nms
from sanderling.ops.array.soft_nms import soft_nms
from sanderling.structures.artefact import PostprocessRule

Floats = NDArray[np.floating]

MOST_CANDIDATES = 3000
"""So many candidates, the best scored, go into suppression, which keeps it fast on a noisy network. A further one could
matter only where all of these leave less than the wanted number of detections."""
MOST_LOWERED = 10000
"""The same where suppression lowers scores: a further candidate could matter only where a detection ends below it."""


def postprocess(
    boxes_xyxy: Boxes,
    scores: NDArray[np.floating],
    *,
    to_original: Callable[[Boxes], NDArray[np.float32]],
    rule: PostprocessRule,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Turn one picture's network output into detections.

    Of the points above the threshold the `MOST_CANDIDATES` best go on (`MOST_LOWERED`, where suppression lowers
    scores). Scores that are NaN, and boxes that are NaN or infinite, never do.

    Args:
        boxes_xyxy: (A, 4) pixels of the network input.
        scores: (A, C), 0..1.
        to_original: moves boxes into the original picture and clips them, `Placement.to_original`.
        rule: thresholds and the kind of suppression.

    Returns:
        boxes_xyxy (N, 4) in the original picture, scores (N) and labels (N), best first.
    """
    points, labels, confidences = candidates(scores, rule)
    boxes = boxes_xyxy[points]
    finite = np.isfinite(boxes).all(axis=1)
    if not finite.all():
        boxes, labels, confidences = boxes[finite], labels[finite], confidences[finite]
    most = MOST_CANDIDATES if rule.suppression.kind == "greedy" else MOST_LOWERED
    if len(boxes) > most:
        best = np.argsort(-confidences, kind="stable")[:most]
        boxes, labels, confidences = boxes[best], labels[best], confidences[best]
    if len(boxes):
        kept, confidences = _suppressed(boxes, confidences, labels, rule)
        boxes, labels = boxes[kept], labels[kept]
    return to_original(boxes), confidences.astype(np.float32), labels.astype(np.int64)


def candidates(
    scores: NDArray[np.floating], rule: PostprocessRule
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.floating]]:
    """What goes on from scores (A, C): points, labels and scores (K) of all candidates above the rule's threshold."""
    if rule.multi_label:
        # One flat pass: np.nonzero on two axes is several times slower when little passes.
        flat = np.flatnonzero(scores > rule.score)
        points, labels = np.divmod(flat, scores.shape[1])
        return points, labels, scores.ravel()[flat]
    labels = scores.argmax(axis=1)
    confidences = scores[np.arange(len(scores)), labels]
    if np.isnan(confidences).any():  # argmax takes NaN for the largest
        return candidates(np.where(np.isnan(scores), -np.inf, scores), rule)
    points = np.flatnonzero(confidences > rule.score)
    return points, labels[points], confidences[points]


def _suppressed(
    boxes_xyxy: Floats, scores: Floats, labels: NDArray[np.intp], rule: PostprocessRule
) -> tuple[NDArray[np.int64], Floats]:
    """Which candidates are left, best first, and their scores after suppression."""
    suppression = rule.suppression
    classes = None if rule.class_agnostic else labels
    if suppression.kind == "matrix":
        return matrix_nms(
            boxes_xyxy,
            scores,
            classes,
            decay=suppression.decay,
            sigma=suppression.sigma,
            score_threshold=rule.score,
            limit=rule.max_detections,
        )
    if suppression.kind == "soft":
        return soft_nms(
            boxes_xyxy,
            scores,
            classes,
            decay=suppression.decay,
            sigma=suppression.sigma,
            iou_threshold=rule.iou,
            score_threshold=rule.score,
            limit=rule.max_detections,
        )
    if suppression.kind == "none":
        kept = np.argsort(-scores, kind="stable")[: rule.max_detections]
        return kept, scores[kept]
    if classes is not None:
        # Moving each class to its own place lets one pass suppress per class.
        extent = float(boxes_xyxy.max() - boxes_xyxy.min()) + 1
        boxes_xyxy = boxes_xyxy + (classes * extent)[:, None]
    kept = greedy_nms(boxes_xyxy, scores, rule.iou, limit=rule.max_detections)
    return kept, scores[kept]
