"""How precision and recall move with the threshold, and which classes are taken for which; all at IoU 0.5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.dataset import Dataset
from sanderling.evaluation.flat import FlatDetections, flatten
from sanderling.evaluation.matching import Matching, match, pair_overlaps, pairs_within
from sanderling.structures.detections import Detections

_MOST_POINTS = 1000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClassCurve:
    """One class at falling thresholds; empty where the class has no objects or no detections.

    Attributes:
        name: of the class.
        scores: float64 K, thresholds, falling.
        precision: float64 K, share of the detections of at least that score that find an object.
        recall: float64 K, share of the objects that are found.
        f1: float64 K, their harmonic mean.
    """

    name: str
    scores: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]

    @property
    def best(self) -> tuple[float, float] | None:
        """The threshold of the largest F1, and this F1; None for an empty curve."""
        if not len(self.f1):
            return None
        index = int(np.argmax(self.f1))
        return float(self.scores[index]), float(self.f1[index])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ConfusionMatrix:
    """Objects against detections.

    Attributes:
        class_names: C names.
        counts: int64 (C+1)x(C+1); row: the object's class, the last row is background (false alarms); column: the
            detection's class, the last column is nothing (misses).
        threshold: detections that score lower are not counted.
    """

    class_names: tuple[str, ...]
    counts: NDArray[np.int64]
    threshold: float


def score_curves(dataset: Dataset, detections: Sequence[Detections] | FlatDetections) -> list[ClassCurve]:
    """Precision, recall and F1 over the threshold, one curve per class, at most 1,000 points each.

    Args:
        dataset: the objects.
        detections: one entry per picture, or flat.

    Raises:
        UsageError: not one entry per picture.
        DataError: the detector does not know a class of the data set.
    """
    matching = match(dataset, flatten(dataset, detections))
    return [_curve(matching, label, name) for label, name in enumerate(dataset.class_names)]


def confusion_matrix(
    dataset: Dataset, detections: Sequence[Detections] | FlatDetections, *, threshold: float = 0.25, iou: float = 0.5
) -> ConfusionMatrix:
    """Pair objects and detections of any class, largest overlap first, each at most once, and count by class.

    Difficult objects and crowd regions, and what falls on them and is not paired, count nowhere.

    Args:
        dataset: the objects.
        detections: one entry per picture, or flat.
        threshold: lowest score.
        iou: least overlap of a pair.

    Raises:
        UsageError: not one entry per picture.
        DataError: the detector does not know a class of the data set.
    """
    found = flatten(dataset, detections)
    rows = np.flatnonzero(found.scores >= threshold)
    picture_of_box = np.repeat(np.arange(len(dataset)), np.diff(dataset.first_box))
    place, box = pairs_within(picture_of_box, found.picture_index[rows])
    detection = rows[place]
    overlap = pair_overlaps(found.boxes_xyxy[detection], dataset.boxes_xyxy[box])
    close = overlap >= iou
    detection, box, overlap = detection[close], box[close], overlap[close]
    counted = ~dataset.crowd & ~dataset.difficult
    real = counted[box]
    order = np.lexsort((-found.scores[detection[real]], -overlap[real]))
    pairs = _greedy(detection[real][order], box[real][order])

    classes = len(dataset.class_names)
    counts = np.zeros((classes + 1, classes + 1), np.int64)
    neutral = np.zeros(len(found), bool)
    neutral[detection[~real]] = True
    for paired_detection, paired_box in pairs:
        counts[dataset.labels[paired_box], found.labels[paired_detection]] += 1
        neutral[paired_detection] = True
        counted[paired_box] = False
    false = rows[~neutral[rows]]
    counts[classes, :classes] += np.bincount(found.labels[false], minlength=classes)
    counts[:classes, classes] += np.bincount(dataset.labels[counted], minlength=classes)
    return ConfusionMatrix(class_names=dataset.class_names, counts=counts, threshold=threshold)


def _curve(matching: Matching, label: int, name: str) -> ClassCurve:
    scores, hits = matching.of_class(label)
    objects = int(matching.objects[label])
    if not len(scores) or not objects:
        none = np.zeros(0)
        return ClassCurve(name=name, scores=none, precision=none, recall=none, f1=none)
    # One threshold takes all detections of equal score: only the last of them is a point.
    ends = np.flatnonzero(np.append(scores[1:] < scores[:-1], True))
    if len(ends) > _MOST_POINTS:
        ends = ends[np.linspace(0, len(ends) - 1, _MOST_POINTS).round().astype(np.int64)]
    true = np.cumsum(hits)[ends]
    precision, recall = true / (ends + 1), true / objects
    f1 = 2 * true / (ends + 1 + objects)
    return ClassCurve(name=name, scores=scores[ends], precision=precision, recall=recall, f1=f1)


def _greedy(detections: NDArray[np.int64], boxes: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Take pairs in their order as long as both sides are free."""
    pairs: list[tuple[int, int]] = []
    used_detections: set[int] = set()
    used_boxes: set[int] = set()
    for detection, box in zip(detections.tolist(), boxes.tolist(), strict=True):
        if detection not in used_detections and box not in used_boxes:
            used_detections.add(detection)
            used_boxes.add(box)
            pairs.append((detection, box))
    return pairs
