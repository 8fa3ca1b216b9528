"""Detections of a split against its objects: one Report."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from sanderling.datasets.dataset import Dataset
from sanderling.errors import UsageError
from sanderling.evaluation.alarms import alarms_at, threshold_for
from sanderling.evaluation.coco import CocoMetrics, coco_metrics
from sanderling.evaluation.flat import FlatDetections, flatten
from sanderling.evaluation.matching import Matching, match
from sanderling.evaluation.voc import average_precisions
from sanderling.structures.detections import Detections
from sanderling.structures.report import ClassReport, Report

_PROTOCOL = (
    "COCO by hotcoco: IoU 0.50:0.95, at most 100 detections a picture and class, crowd regions neutral; "
    "VOC at IoU 0.5: difficult objects and crowd regions neutral; "
)


def evaluate(
    dataset: Dataset,
    detections: Sequence[Detections] | FlatDetections,
    *,
    threshold: float | None = None,
    false_alarm_rate: float = 0.1,
) -> Report:
    """Measure detections of all pictures of a split.

    Classes are matched by name; detections of classes that the data set does not have are left out, and so are
    detections with a NaN or infinite box or score (counted as `detections_not_finite`).

    Args:
        dataset: pictures and objects.
        detections: one entry per picture, in the order of `dataset`; or already flat.
        threshold: score at which false alarms, misses and precision are counted, the same for all classes.
        false_alarm_rate: without `threshold`: the wanted false alarms per picture and class; each class gets the lowest
            threshold that keeps it.

    Raises:
        UsageError: not one entry per picture, or a threshold or rate that makes no sense.
        DataError: the detector does not know a class of the data set.
    """
    started = time.perf_counter()
    check_thresholds(threshold, false_alarm_rate)
    found = flatten(dataset, detections)
    coco = coco_metrics(dataset, found)
    matching = match(dataset, found)
    per_class = tuple(
        _class_report(dataset, coco, matching, label, threshold=threshold, false_alarm_rate=false_alarm_rate)
        for label in range(len(dataset.class_names))
    )
    chosen = (
        f"threshold {threshold:g}" if threshold is not None else f"at most {false_alarm_rate:g} of a class a picture"
    )
    return Report(
        metrics={
            **coco.metrics,
            "AP50_voc07": _mean([entry.AP_voc07 for entry in per_class]),
            "AP50_voc": _mean([entry.AP_voc for entry in per_class]),
        },
        per_class=per_class,
        protocol=f"{_PROTOCOL}false alarms and misses at IoU 0.5, {chosen}",
        counts={
            "pictures": len(dataset),
            "objects": int(matching.objects.sum()),
            "crowd_regions": int(dataset.crowd.sum()),
            "difficult_objects": int(dataset.difficult.sum()),
            "detections": len(found),
            "detections_not_finite": found.not_finite,
        },
        timings={"evaluate_s": time.perf_counter() - started},
        data=f"{dataset.name} {dataset.split}",
    )


def check_thresholds(threshold: float | None, false_alarm_rate: float) -> None:
    """Refuse a threshold or rate that makes no sense, before the work begins.

    Raises:
        UsageError: a threshold outside 0..1, or a rate below 0.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise UsageError(f"threshold = {threshold}: a score from 0 to 1 is expected")
    if not 0 <= false_alarm_rate < np.inf:
        raise UsageError(
            f"false_alarm_rate = {false_alarm_rate}: false alarms per picture and class, 0 or more, are expected"
        )


def _class_report(
    dataset: Dataset,
    coco: CocoMetrics,
    matching: Matching,
    label: int,
    *,
    threshold: float | None,
    false_alarm_rate: float,
) -> ClassReport:
    scores, hits = matching.of_class(label)
    objects, pictures = int(matching.objects[label]), len(dataset)
    eleven, area = average_precisions(hits, objects)
    if threshold is None:
        threshold = threshold_for(scores, hits, pictures=pictures, false_alarm_rate=false_alarm_rate)
    alarms = alarms_at(scores, hits, objects=objects, pictures=pictures, threshold=threshold)
    return ClassReport(
        name=dataset.class_names[label],
        objects=objects,
        detections=int(matching.first[label + 1] - matching.first[label]),
        AP=coco.class_ap[label],
        AP50=coco.class_ap50[label],
        AP_voc07=eleven,
        AP_voc=area,
        threshold=alarms.threshold,
        false_alarms_per_picture=alarms.false_alarms_per_picture,
        miss_rate=alarms.miss_rate,
        precision=alarms.precision,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    measured = [value for value in values if value is not None]
    return sum(measured) / len(measured) if measured else None
