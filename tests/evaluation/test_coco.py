from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
import pytest

from sanderling.datasets.dataset import Dataset
from sanderling.evaluation.coco import METRIC_NAMES, CocoMetrics, coco_metrics
from sanderling.evaluation.flat import flatten
from sanderling.structures.detections import Detections
from tests.support.scored import found_of, random_split, split_of

TOLERANCE = 1e-6


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_all_numbers_equal_pycocotools(seed: int, coarse: bool) -> None:
    dataset, detections = random_split(seed, coarse=coarse)
    assert dataset.crowd.any()
    assert_equal_to_oracle(dataset, detections)


def test_more_than_a_hundred_detections_in_a_picture_equal_pycocotools() -> None:
    dataset, detections = random_split(7, pictures=4, classes=3, coarse=True)
    crowded = [
        found_of(
            [
                (0, float(score), tuple((box + 3 * shift).tolist()))
                for shift in range(60)
                for box, score in zip(found.boxes_xyxy, found.scores, strict=True)
            ],
            dataset.class_names,
        )
        for found in detections
    ]
    assert max(len(found) for found in crowded) > 300
    assert_equal_to_oracle(dataset, crowded)


def test_perfect_detections_score_one() -> None:
    dataset, _ = random_split(2)
    perfect = [
        found_of(
            [
                (int(dataset.labels[box]), 0.9, tuple(dataset.boxes_xyxy[box].tolist()))
                for box in range(dataset.boxes_of(index).start, dataset.boxes_of(index).stop)
            ],
            dataset.class_names,
        )
        for index in range(len(dataset))
    ]
    measured = coco_metrics(dataset, flatten(dataset, perfect))
    assert measured.metrics["AP"] == pytest.approx(1)
    assert measured.metrics["AR_100"] == pytest.approx(1)


def test_a_class_without_objects_has_no_precision_and_does_not_count() -> None:
    box = (10.0, 10.0, 60.0, 60.0)
    dataset = split_of([[(0, box)]])
    measured = coco_metrics(dataset, flatten(dataset, [found_of([(0, 0.5, box), (1, 0.9, box)])]))
    for values in (measured.class_ap, measured.class_ap50):
        assert values[0] == pytest.approx(1)
        assert values[1] is None
    assert measured.metrics["AP"] == pytest.approx(1)
    assert measured.metrics["AP_small"] is None
    assert measured.metrics["AP_large"] is None


def test_objects_without_a_single_detection_score_zero() -> None:
    dataset = split_of([[(0, (10.0, 10.0, 60.0, 60.0))], []])
    measured = coco_metrics(dataset, flatten(dataset, [Detections.empty(dataset.class_names)] * 2))
    assert measured.metrics["AP"] == 0
    assert measured.class_ap == (0, None)


@pytest.mark.parametrize("pictures", [0, 1])
def test_nothing_to_measure_by_gives_none(pictures: int) -> None:
    dataset = split_of([[]] * pictures)
    found = [found_of([(0, 0.5, (0, 0, 5, 5))])] * pictures
    measured = coco_metrics(dataset, flatten(dataset, found))
    assert measured == CocoMetrics(metrics=dict.fromkeys(METRIC_NAMES), class_ap=(None, None), class_ap50=(None, None))


def test_only_crowd_regions_give_none() -> None:
    dataset = split_of([[(0, (0.0, 0.0, 50.0, 50.0))]], crowd=[0])
    measured = coco_metrics(dataset, flatten(dataset, [found_of([(0, 0.5, (0, 0, 5, 5))])]))
    assert measured.metrics["AP"] is None
    assert measured.class_ap == (None, None)


def test_a_box_turned_inside_out_is_a_false_detection_and_no_crash() -> None:
    box = (10.0, 10.0, 60.0, 60.0)
    dataset = split_of([[(0, box)]])
    measured = coco_metrics(dataset, flatten(dataset, [found_of([(0, 0.9, (60, 60, 10, 10)), (0, 0.8, box)])]))
    assert measured.metrics["AP"] == pytest.approx(0.5)


def assert_equal_to_oracle(dataset: Dataset, detections: Sequence[Detections]) -> None:
    measured = coco_metrics(dataset, flatten(dataset, detections))
    expected, class_ap, class_ap50 = pycocotools_numbers(dataset, detections)
    assert list(measured.metrics) == list(METRIC_NAMES)
    for name, value in zip(METRIC_NAMES, expected, strict=True):
        assert measured.metrics[name] == (None if value < 0 else pytest.approx(value, abs=TOLERANCE)), name
    for ours, theirs in ((measured.class_ap, class_ap), (measured.class_ap50, class_ap50)):
        assert list(ours) == [None if value < 0 else pytest.approx(value, abs=TOLERANCE) for value in theirs]
    assert measured.class_ap[-1] is None
    assert measured.metrics["AP"]


def pycocotools_numbers(
    dataset: Dataset, detections: Sequence[Detections]
) -> tuple[list[float], list[float], list[float]]:
    """The twelve numbers, and AP and AP50 per class; -1 where there is nothing to measure by."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    results: list[dict[str, object]] = []
    annotations = []
    for index, found in enumerate(detections):
        where = dataset.boxes_of(index)
        for box in range(where.start, where.stop):
            left, top, right, bottom = dataset.boxes_xyxy[box].tolist()
            annotations.append(
                {
                    "id": box + 1,
                    "image_id": index,
                    "category_id": int(dataset.labels[box]),
                    "bbox": [left, top, right - left, bottom - top],
                    "area": float(dataset.areas[box]),
                    "iscrowd": int(dataset.crowd[box]),
                }
            )
        for box_xyxy, score, label in zip(found.boxes_xyxy, found.scores, found.labels, strict=True):
            left, top, right, bottom = box_xyxy.astype(np.float64).tolist()
            box_xywh = [left, top, right - left, bottom - top]
            results.append({"image_id": index, "category_id": int(label), "bbox": box_xywh, "score": float(score)})
    truth.dataset = {
        "info": {},
        "images": [{"id": index} for index in range(len(dataset))],
        "annotations": annotations,
        "categories": [{"id": label, "name": name} for label, name in enumerate(dataset.class_names)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    precision = evaluator.eval["precision"][:, :, :, 0, -1]

    def mean(values: np.ndarray) -> float:
        measured = values[values > -1]
        return float(measured.mean()) if measured.size else -1.0

    classes = range(len(dataset.class_names))
    return (
        [float(value) for value in evaluator.stats],
        [mean(precision[:, :, label]) for label in classes],
        [mean(precision[0, :, label]) for label in classes],
    )
