"""The mistakes worth looking at: the surest false alarms and the largest objects missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.dataset import Dataset
from sanderling.evaluation.flat import FlatDetections, flatten
from sanderling.evaluation.matching import Matching, match
from sanderling.structures.detections import Detections
from sanderling.structures.report import Report


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """One false alarm or one missed object.

    Attributes:
        kind: which of the two.
        picture_index: index of the picture in the data set.
        box_xyxy: pixels of the original picture.
        label: index into the data set's classes.
        score: of a false alarm; of the detection below the threshold that would have found a missed object, None where
            there is none at all.
    """

    kind: Literal["false alarm", "miss"]
    picture_index: int
    box_xyxy: tuple[float, float, float, float]
    label: int
    score: float | None


def worst_mistakes(
    dataset: Dataset, detections: Sequence[Detections] | FlatDetections, report: Report, *, limit: int = 12
) -> list[Mistake]:
    """At most `limit` false alarms, best scored first, then at most `limit` misses, largest objects first.

    Args:
        dataset: the objects.
        detections: one entry per picture, or flat; those that `report` measured.
        report: its thresholds per class decide what is an alarm.
        limit: of each kind.

    Raises:
        UsageError: not one entry per picture.
        DataError: the detector does not know a class of the data set.
    """
    found = flatten(dataset, detections)
    matching = match(dataset, found)
    thresholds = np.array([0 if entry.threshold is None else entry.threshold for entry in report.per_class])
    alarm = matching.scores >= thresholds[found.labels[matching.order]]
    return [
        *_false_alarms(found, matching, alarm, limit),
        *_misses(dataset, matching, alarm, limit),
    ]


def _false_alarms(found: FlatDetections, matching: Matching, alarm: NDArray[np.bool_], limit: int) -> list[Mistake]:
    false = np.flatnonzero(alarm & (matching.found < 0) & ~matching.ignored)
    false = false[np.argsort(-matching.scores[false], kind="stable")[:limit]]
    return [
        Mistake(
            kind="false alarm",
            picture_index=int(found.picture_index[row]),
            box_xyxy=_box(found.boxes_xyxy[row]),
            label=int(found.labels[row]),
            score=float(found.scores[row]),
        )
        for row in matching.order[false].tolist()
    ]


def _misses(dataset: Dataset, matching: Matching, alarm: NDArray[np.bool_], limit: int) -> list[Mistake]:
    score_of_box = np.full(len(dataset.labels), -np.inf)
    finds = matching.found >= 0
    score_of_box[matching.found[finds]] = matching.scores[finds]
    missed = matching.counted.copy()
    missed[matching.found[finds & alarm]] = False
    boxes = np.flatnonzero(missed)
    boxes = boxes[np.argsort(-dataset.areas[boxes], kind="stable")[:limit]]
    pictures = np.searchsorted(dataset.first_box, boxes, side="right") - 1
    return [
        Mistake(
            kind="miss",
            picture_index=picture,
            box_xyxy=_box(dataset.boxes_xyxy[box]),
            label=int(dataset.labels[box]),
            score=None if score_of_box[box] == -np.inf else float(score_of_box[box]),
        )
        for picture, box in zip(pictures.tolist(), boxes.tolist(), strict=True)
    ]


def _box(box_xyxy: NDArray[np.float64]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box_xyxy.tolist()
    return left, top, right, bottom
