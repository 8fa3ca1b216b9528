"""Whether detections whose scores a graph has lowered are those of its model, however near ties fell.

Matrix NMS goes by the order of scores. Where two overlapping boxes score the same but for rounding, a graph may take
the other one for the better, and the scores of both and of their neighbours come out otherwise. So each score is
compared with the range that it can have. Axes: A points, C classes, K candidates, M detections.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from sanderling.ops.array.boxes import iou
from sanderling.ops.array.postprocess import candidates
from sanderling.structures.artefact import MatrixNms, PostprocessRule
from sanderling.structures.detections import Detections

Floats = NDArray[np.floating]

_SMALLEST = 1e-12
_MOST_TIED = 2
"""So many times what the graph looks at is compared at most: where all scores tie, no more would fit into memory."""


def same_lowered(
    boxes_xyxy: Floats,
    scores: Floats,
    found: Detections,
    *,
    rule: PostprocessRule,
    most: int,
    box_tolerance: float,
    score_tolerance: float,
) -> bool:
    """Compare what a graph with Matrix NMS found with what the rule makes of the model's own output.

    Args:
        boxes_xyxy: (A, 4), the model's, in pixels of the network input.
        scores: (A, C), the model's.
        found: what the graph found, in the same pixels.
        rule: thresholds; its suppression is Matrix NMS.
        most: so many candidates the graph looks at.
        box_tolerance: how far a box may be from the model's.
        score_tolerance: how far a score may be from the model's.

    Returns:
        Every detection is a candidate of the model with a score in its range, and no candidate is missing that must
        be among the best.
    """
    suppression = rule.suppression
    assert isinstance(suppression, MatrixNms)
    points, labels, own = candidates(scores, dataclasses.replace(rule, score=max(rule.score - score_tolerance, 0)))
    best = np.argsort(-own, kind="stable")[: _MOST_TIED * most]
    # Which candidate is the last that the graph looks at may be a tie too.
    last = own[best[most - 1]] if len(best) > most else -np.inf
    best = best[own[best] >= last - 2 * score_tolerance]
    points, labels, own = points[best], labels[best], own[best]
    looked_at = own > last + 2 * score_tolerance
    boxes = boxes_xyxy[points]
    classes = np.zeros_like(labels) if rule.class_agnostic else labels
    lowest, highest = _ranges(boxes, own, classes, suppression, tolerance=score_tolerance)
    alike = labels[:, None] == found.labels
    alike &= np.abs(boxes[:, None] - found.boxes_xyxy).max(-1, initial=0) <= box_tolerance
    alike &= found.scores >= lowest[:, None] - score_tolerance
    alike &= found.scores <= highest[:, None] + score_tolerance
    bar = rule.score if len(found) < rule.max_detections else max(rule.score, float(found.scores.min()))
    missing = ~alike.any(axis=1) & looked_at & (lowest > bar + score_tolerance)
    return bool(alike.any(axis=0).all() and not missing.any())


def _ranges(
    boxes_xyxy: Floats, scores: Floats, labels: NDArray[np.integer], suppression: MatrixNms, *, tolerance: float
) -> tuple[Floats, Floats]:
    """The lowest and the highest score (K) that a candidate can end with when scores move by the tolerance."""
    overlaps = iou(boxes_xyxy.astype(np.float64), boxes_xyxy.astype(np.float64)) * (labels[:, None] == labels)
    ahead = scores[:, None] - scores
    others = ~np.eye(len(scores), dtype=bool)
    # Rows are the better boxes: which may come before a column's box, and which must.
    may, must = others & (ahead >= -2 * tolerance), ahead > 2 * tolerance
    most_covered = (overlaps * may).max(axis=0, initial=0)
    least_covered = (overlaps * must).max(axis=0, initial=0)
    lowest = _smallest(overlaps * may, least_covered, suppression)
    highest = _smallest(overlaps * must, most_covered, suppression)
    return scores * lowest, scores * highest


def _smallest(overlaps: Floats, covered: Floats, suppression: MatrixNms) -> Floats:
    """The smallest share (K) that rows leave of columns; a row without overlap leaves all."""
    if suppression.decay == "linear":
        shares = (1 - overlaps) / np.maximum(1 - covered, _SMALLEST)[:, None]
    else:
        shares = np.exp((np.square(covered)[:, None] - np.square(overlaps)) / suppression.sigma)
    return shares.min(axis=0, initial=1)
