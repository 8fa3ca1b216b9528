from __future__ import annotations

import json
import time

import numpy as np
import pytest

from sanderling.errors import DataError, UsageError
from sanderling.evaluation.coco import METRIC_NAMES
from sanderling.evaluation.evaluate import evaluate
from sanderling.evaluation.flat import flatten
from sanderling.structures.detections import Detections
from sanderling.structures.report import Report
from tests.support.scored import found_of, random_split, split_of

BOX = (10.0, 20.0, 60.0, 90.0)
FAR = (300.0, 300.0, 350.0, 350.0)


def test_a_small_case_by_hand() -> None:
    dataset = split_of([[(0, BOX)], [(0, BOX), (1, FAR)], [], []])
    detections = [
        found_of([(0, 0.9, BOX), (0, 0.3, FAR)]),
        found_of([(0, 0.4, BOX), (0, 0.35, FAR)]),
        found_of([(1, 0.6, BOX)]),
        Detections.empty(("fire", "smoke")),
    ]
    report = evaluate(dataset, detections, threshold=0.32)
    fire, smoke = report.per_class
    assert (fire.name, fire.objects, fire.detections, fire.threshold) == ("fire", 2, 4, 0.32)
    assert [fire.AP50, fire.AP_voc, fire.AP_voc07] == pytest.approx([1, 1, 1])
    assert (fire.false_alarms_per_picture, fire.miss_rate, fire.precision) == (0.25, 0, 2 / 3)
    assert (smoke.AP, smoke.AP_voc, smoke.miss_rate, smoke.false_alarms_per_picture) == (0, 0, 1, 0.25)
    assert report.metrics["AP50"] == pytest.approx(0.5)
    assert report.metrics["AP50_voc"] == 0.5
    assert report.counts["pictures"] == 4
    assert report.counts["objects"] == 3
    assert report.counts["detections"] == 5


def test_every_class_gets_the_threshold_that_keeps_the_rate() -> None:
    dataset, detections = random_split(5)
    for rate in (0.0, 0.1, 0.5):
        report = evaluate(dataset, detections, false_alarm_rate=rate)
        assert all((entry.false_alarms_per_picture or 0) <= rate for entry in report.per_class)
        assert f"at most {rate:g} of a class a picture" in report.protocol
    assert evaluate(dataset, detections, threshold=0.5).per_class[0].threshold == 0.5


def test_all_metrics_are_there_and_json_holds_no_nan() -> None:
    dataset, detections = random_split(0)
    report = evaluate(dataset, detections)
    assert set(report.metrics) == {*METRIC_NAMES, "AP50_voc07", "AP50_voc"}
    plain = json.loads(report.to_json(), parse_constant=pytest.fail)
    assert Report.from_plain(plain) == report
    assert report.timings["evaluate_s"] > 0


@pytest.mark.parametrize("pictures", [0, 3])
def test_a_split_without_objects_measures_nothing(pictures: int) -> None:
    report = evaluate(split_of([[]] * pictures), [found_of([(0, 0.5, BOX)])] * pictures)
    assert set(report.metrics.values()) == {None}
    assert all(entry.AP is None and entry.AP_voc is None and entry.miss_rate is None for entry in report.per_class)


def test_no_detections_at_all_find_nothing() -> None:
    dataset, detections = random_split(0)
    report = evaluate(dataset, [Detections.empty(dataset.class_names)] * len(detections))
    assert report.metrics["AP"] == 0
    assert report.per_class[0].miss_rate == 1
    assert report.per_class[0].threshold is None
    assert report.per_class[-1].AP is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_change_nothing_but_their_count(bad: float) -> None:
    dataset, detections = random_split(4)
    before = evaluate(dataset, detections)
    worse = [
        found_of(
            [
                *(
                    (int(row), float(s), tuple(b.tolist()))
                    for row, s, b in zip(f.labels, f.scores, f.boxes_xyxy, strict=True)
                ),
                (0, 0.99, (bad, 0.0, 10.0, 10.0)),
                (1, bad, BOX),
            ],
            dataset.class_names,
        )
        for f in detections
    ]
    after = evaluate(dataset, worse)
    assert after.metrics == before.metrics
    assert after.per_class == before.per_class
    assert after.counts["detections_not_finite"] == 2 * len(dataset)


def test_flat_detections_give_the_same_report() -> None:
    dataset, detections = random_split(6)
    assert evaluate(dataset, flatten(dataset, detections)).metrics == evaluate(dataset, detections).metrics


def test_a_detector_that_knows_more_classes_in_another_order_scores_the_same() -> None:
    dataset = split_of([[(0, BOX), (1, FAR)]])
    ours = evaluate(dataset, [found_of([(0, 0.9, BOX), (1, 0.4, FAR)])])
    model = ("crane", "smoke", "fire")
    theirs = evaluate(dataset, [found_of([(2, 0.9, BOX), (1, 0.4, FAR), (0, 0.99, FAR)], model)])
    assert theirs.metrics == ours.metrics
    assert theirs.per_class == ours.per_class


def test_wrong_use_is_refused() -> None:
    dataset = split_of([[(0, BOX)]])
    with pytest.raises(UsageError, match="detections of 2 pictures were given for 1"):
        evaluate(dataset, [found_of([]), found_of([])])
    with pytest.raises(UsageError, match=r"threshold = 1\.5: a score from 0 to 1"):
        evaluate(dataset, [found_of([])], threshold=1.5)
    with pytest.raises(UsageError, match=r"threshold = nan"):
        evaluate(dataset, [found_of([])], threshold=float("nan"))
    with pytest.raises(UsageError, match="false_alarm_rate = -1"):
        evaluate(dataset, [found_of([])], false_alarm_rate=-1)
    with pytest.raises(DataError, match="unknown to the model"):
        evaluate(dataset, [found_of([], ("fire",))])


def test_many_detections_take_little_time() -> None:
    """Sixty thousand rows: far below a second of processor time, where loops over rows need many."""
    rng = np.random.default_rng(0)
    pictures, each, names = 1000, 60, tuple(f"class {label}" for label in range(80))

    def boxes(count: int) -> np.ndarray:
        corner, sides = rng.random((count, 2)) * 400, rng.random((count, 2)) * 100 + 5
        return np.concatenate([corner, corner + sides], axis=1)

    objects = [
        [(int(label), tuple(box)) for label, box in zip(rng.integers(0, 80, 7), boxes(7).tolist(), strict=True)]
        for _ in range(pictures)
    ]
    dataset = split_of(objects, names)
    detections = [
        Detections(
            boxes_xyxy=boxes(each).astype(np.float32),
            scores=rng.random(each).astype(np.float32),
            labels=rng.integers(0, 80, each),
            class_names=names,
        )
        for _ in range(pictures)
    ]
    started = time.process_time()
    evaluate(dataset, detections)
    assert time.process_time() - started < 2
