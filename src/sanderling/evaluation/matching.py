"""Which detection finds which object: one pass at one IoU, shared by VOC precision, alarms, curves and mistakes.

The rule is that of the VOC development kit: a detection belongs to the object of its class and picture that it overlaps
most; from the given IoU on it finds this object, the best scored detection does so first, and any further one is false.
What falls on a difficult object, or by at least the same share of its own area into a crowd region, counts neither way.
Coordinates are edges, not pixel indices: no "+ 1" anywhere.

Axes: N detections, T boxes of the data set, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.dataset import Dataset
from sanderling.evaluation.flat import FlatDetections


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Matching:
    """Detections by class and score, and what became of each.

    Attributes:
        order: int64 N, rows of the detections sorted by class, best score first; equal scores keep their order.
        first: int64 C+1; class c stands at `order[first[c]:first[c + 1]]`.
        scores: float64 N, in that order.
        found: int64 N, in that order: index of the object that this detection finds, -1 where it finds none.
        ignored: bool N, in that order: counts neither as found nor as false.
        objects: int64 C, objects that should be found: neither difficult nor crowd.
        counted: bool T, which boxes of the data set these are.
    """

    order: NDArray[np.int64]
    first: NDArray[np.int64]
    scores: NDArray[np.float64]
    found: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    objects: NDArray[np.int64]
    counted: NDArray[np.bool_]

    def of_class(self, label: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Scores of the detections of a class that count, best first, and which of them found an object."""
        where = slice(int(self.first[label]), int(self.first[label + 1]))
        counts = ~self.ignored[where]
        return self.scores[where][counts], (self.found[where] >= 0)[counts]


def match(dataset: Dataset, found: FlatDetections, *, iou: float = 0.5) -> Matching:
    """Match all detections of a split.

    Args:
        dataset: the objects.
        found: the detections, pictures in the order of `dataset`.
        iou: least overlap of a detection with the object that it finds.
    """
    classes = len(dataset.class_names)
    picture_of_box = np.repeat(np.arange(len(dataset)), np.diff(dataset.first_box))
    detection, box = pairs_within(
        picture_of_box * classes + dataset.labels, found.picture_index * classes + found.labels
    )
    overlap = pair_overlaps(found.boxes_xyxy[detection], dataset.boxes_xyxy[box], within_first=dataset.crowd[box])
    near = overlap >= iou
    detection, box, overlap = detection[near], box[near], overlap[near]
    is_object = ~dataset.crowd[box]
    best = _best(detection[is_object], box[is_object], overlap[is_object], len(found))
    ignored = np.zeros(len(found), bool)
    ignored[detection[~is_object]] = True
    hit = best >= 0
    ignored[hit] = dataset.difficult[best[hit]]

    order = _by_class_and_score(found.labels, found.scores)
    best, ignored = best[order], ignored[order]
    candidates = np.flatnonzero((best >= 0) & ~ignored)
    # The first detection of every object, in order of score: np.unique gives first places.
    winners = candidates[np.unique(best[candidates], return_index=True)[1]]
    finds = np.full(len(found), -1, np.int64)
    finds[winners] = best[winners]
    counted = ~dataset.crowd & ~dataset.difficult
    return Matching(
        order=order,
        first=np.concatenate([[0], np.cumsum(np.bincount(found.labels, minlength=classes))]).astype(np.int64),
        scores=found.scores[order],
        found=finds,
        ignored=ignored,
        objects=np.bincount(dataset.labels[counted], minlength=classes).astype(np.int64),
        counted=counted,
    )


def pairs_within(
    box_group: NDArray[np.int64], found_group: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of all pairs (detection, box) of the same group, detection by detection, boxes in their order."""
    by_group = np.argsort(box_group, kind="stable")
    groups, first, size = np.unique(box_group[by_group], return_index=True, return_counts=True)
    if not len(groups):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    place = np.minimum(np.searchsorted(groups, found_group), len(groups) - 1)
    detections = np.flatnonzero(groups[place] == found_group)
    place = place[detections]
    counts = size[place]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(detections, counts), by_group[np.repeat(first[place], counts) + within]


def pair_overlaps(
    first_xyxy: NDArray[np.float64], second_xyxy: NDArray[np.float64], *, within_first: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Overlap (K) of boxes (K, 4) pair by pair: intersection over union; 0 where boxes are empty.

    Args:
        first_xyxy: (K, 4).
        second_xyxy: (K, 4).
        within_first: K, pairs whose intersection is divided by the first box's own area instead.
    """
    left, top, right, bottom = (np.ascontiguousarray(edge) for edge in first_xyxy.T)
    other_left, other_top, other_right, other_bottom = (np.ascontiguousarray(edge) for edge in second_xyxy.T)
    shared = np.maximum(np.minimum(right, other_right) - np.maximum(left, other_left), 0)
    shared *= np.maximum(np.minimum(bottom, other_bottom) - np.maximum(top, other_top), 0)
    own = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    other = np.maximum(other_right - other_left, 0) * np.maximum(other_bottom - other_top, 0)
    whole = own + other - shared
    if within_first is not None:
        whole = np.where(within_first, own, whole)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


def _best(
    detection: NDArray[np.int64], box: NDArray[np.int64], overlap: NDArray[np.float64], detections: int
) -> NDArray[np.int64]:
    """The box that each detection overlaps most, the first of equals; -1 where it has none. Pairs by detection."""
    best = np.full(detections, -1, np.int64)
    if not len(detection):
        return best
    starts = np.flatnonzero(np.diff(detection, prepend=-1))
    most = np.repeat(np.maximum.reduceat(overlap, starts), np.diff(starts, append=len(detection)))
    at_best = np.flatnonzero(overlap == most)[::-1]
    # Written backwards, so that the first of equally good objects stays.
    best[detection[at_best]] = box[at_best]
    return best


def _by_class_and_score(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.int64]:
    by_score = np.argsort(-scores, kind="stable")
    # NumPy sorts 16 bits by radix, several times faster than 64.
    small = labels[by_score].astype(np.uint16) if len(labels) and labels.max() < 2**16 else labels[by_score]
    return by_score[np.argsort(small, kind="stable")]
