"""COCO's twelve numbers and the precision per class, computed by hotcoco (https://github.com/derekallman/hotcoco)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.dataset import Dataset
from sanderling.evaluation.flat import FlatDetections

# Axes of hotcoco's arrays: precision (IoU, recall, class, area, limit), recall (IoU, class, area, limit).
_IOU_50, _IOU_75 = 0, 5
_AREAS = ("small", "medium", "large")
_LIMITS = (1, 10, 100)
_LAST = len(_LIMITS) - 1

METRIC_NAMES = (
    "AP",
    "AP50",
    "AP75",
    "AP_small",
    "AP_medium",
    "AP_large",
    "AR_1",
    "AR_10",
    "AR_100",
    "AR_small",
    "AR_medium",
    "AR_large",
)
"""The twelve numbers in COCO's order: IoU 0.50:0.05:0.95, 101 recalls, at most 100 detections a picture and class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CocoMetrics:
    """Fractions 0..1, None where there is no object to measure by.

    Attributes:
        metrics: the twelve numbers by name, `METRIC_NAMES`.
        class_ap: AP of every class.
        class_ap50: AP at IoU 0.5 of every class.
    """

    metrics: dict[str, float | None]
    class_ap: tuple[float | None, ...]
    class_ap50: tuple[float | None, ...]


def coco_metrics(dataset: Dataset, found: FlatDetections) -> CocoMetrics:
    """Score detections by COCO's protocol. Crowd regions take detections without reward or blame.

    COCO knows no difficult objects: they count like any other.

    Args:
        dataset: the objects.
        found: the detections, pictures in the order of `dataset`.
    """
    classes = len(dataset.class_names)
    if not len(dataset.labels):
        nothing = (None,) * classes
        return CocoMetrics(metrics=dict.fromkeys(METRIC_NAMES), class_ap=nothing, class_ap50=nothing)
    precision, recall = _curves(dataset, found)
    # One limit and one area at a time, close together in memory: the whole array is twelve times as long.
    whole, small, medium, large = (np.ascontiguousarray(precision[:, :, :, area, _LAST]) for area in range(4))
    values = {"AP": whole, "AP50": whole[_IOU_50], "AP75": whole[_IOU_75]}
    values |= {"AP_small": small, "AP_medium": medium, "AP_large": large}
    values |= {f"AR_{limit}": recall[:, :, 0, place] for place, limit in enumerate(_LIMITS)}
    values |= {f"AR_{name}": recall[:, :, area, _LAST] for area, name in enumerate(_AREAS, start=1)}
    by_class = np.ascontiguousarray(whole.transpose(2, 0, 1))
    return CocoMetrics(
        metrics={name: _mean(values[name]) for name in METRIC_NAMES},
        class_ap=tuple(_mean(curve) for curve in by_class),
        class_ap50=tuple(_mean(curve[_IOU_50]) for curve in by_class),
    )


def _curves(dataset: Dataset, found: FlatDetections) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall as hotcoco gives them; -1 where a class has no object."""
    from hotcoco import COCO, COCOeval

    # Own ids 0..P-1 and 0..C-1: the file's may be text, and hotcoco sorts classes by them.
    pictures = [{"id": index} for index in range(len(dataset))]
    categories = [{"id": label, "name": str(label)} for label in range(len(dataset.class_names))]
    boxes_xywh = np.empty_like(dataset.boxes_xyxy)
    _write_xywh(dataset.boxes_xyxy, boxes_xywh)
    truth = COCO.from_arrays(
        pictures,
        categories,
        np.repeat(np.arange(len(dataset)), np.diff(dataset.first_box)),
        dataset.labels,
        boxes_xywh,
        area=dataset.areas,
        iscrowd=dataset.crowd.astype(np.int64),
    )
    rows = np.empty((len(found), 7))
    rows[:, 0] = found.picture_index
    _write_xywh(found.boxes_xyxy, rows[:, 1:5])
    rows[:, 5] = found.scores
    rows[:, 6] = found.labels
    evaluator = COCOeval(truth, truth.load_res(rows), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    curves: dict[str, Any] = evaluator.eval or {}
    return curves["precision"], curves["recall"]


def _write_xywh(boxes_xyxy: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    out[:, :2] = boxes_xyxy[:, :2]
    np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0, out=out[:, 2:])


def _mean(values: NDArray[np.float64]) -> float | None:
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else None
