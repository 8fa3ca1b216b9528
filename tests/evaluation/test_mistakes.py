from __future__ import annotations

import dataclasses

import pytest

from sanderling.evaluation.evaluate import evaluate
from sanderling.evaluation.mistakes import Mistake, worst_mistakes
from tests.support.scored import found_of, random_split, split_of

BOX = (10.0, 20.0, 60.0, 90.0)
LARGE = (100.0, 100.0, 400.0, 400.0)
FAR = (500.0, 300.0, 550.0, 350.0)


def test_the_surest_false_alarms_and_the_largest_misses_come_first() -> None:
    dataset = split_of([[(0, BOX)], [], [(0, BOX), (1, LARGE), (0, FAR)]])
    detections = [
        found_of([(0, 0.9, BOX), (0, 0.625, FAR), (0, 0.3, LARGE)]),
        found_of([(1, 0.75, BOX)]),
        found_of([(0, 0.375, BOX)]),
    ]
    report = evaluate(dataset, detections, threshold=0.5)
    assert worst_mistakes(dataset, detections, report) == [
        Mistake(kind="false alarm", picture_index=1, box_xyxy=BOX, label=1, score=0.75),
        Mistake(kind="false alarm", picture_index=0, box_xyxy=FAR, label=0, score=0.625),
        Mistake(kind="miss", picture_index=2, box_xyxy=LARGE, label=1, score=None),
        Mistake(kind="miss", picture_index=2, box_xyxy=BOX, label=0, score=0.375),
        Mistake(kind="miss", picture_index=2, box_xyxy=FAR, label=0, score=None),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_mistakes_are_as_many_as_the_report_counts(seed: int) -> None:
    dataset, detections = random_split(seed)
    report = evaluate(dataset, detections, false_alarm_rate=0.2)
    mistakes = worst_mistakes(dataset, detections, report, limit=10**6)
    for label, entry in enumerate(report.per_class):
        own = [mistake for mistake in mistakes if mistake.label == label]
        false_alarms = sum(mistake.kind == "false alarm" for mistake in own)
        misses = sum(mistake.kind == "miss" for mistake in own)
        assert false_alarms == pytest.approx((entry.false_alarms_per_picture or 0) * len(dataset))
        assert misses == pytest.approx((entry.miss_rate or 0) * entry.objects)


def test_the_limit_holds_for_each_kind() -> None:
    dataset, detections = random_split(1)
    report = evaluate(dataset, detections, threshold=0.5)
    kinds = [mistake.kind for mistake in worst_mistakes(dataset, detections, report, limit=3)]
    assert kinds == ["false alarm"] * 3 + ["miss"] * 3


def test_crowds_and_difficult_objects_are_never_missed() -> None:
    dataset = split_of([[(0, BOX), (0, LARGE)]], crowd=[0], difficult=[1])
    detections = [found_of([])]
    assert worst_mistakes(dataset, detections, evaluate(dataset, detections)) == []


def test_a_class_without_threshold_takes_every_detection() -> None:
    dataset = split_of([[(0, BOX)]])
    detections = [found_of([(1, 0.01, BOX), (0, 0.9, BOX)])]
    report = evaluate(dataset, detections)
    without = [dataclasses.replace(entry, threshold=None) for entry in report.per_class]
    assert [
        m.score for m in worst_mistakes(dataset, detections, dataclasses.replace(report, per_class=tuple(without)))
    ] == [pytest.approx(0.01)]
