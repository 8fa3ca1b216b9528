from __future__ import annotations

import numpy as np
import pytest

from sanderling.evaluation.alarms import Alarms, alarms_at, threshold_for

SCORES = np.array([0.9, 0.8, 0.8, 0.6, 0.5, 0.5, 0.2])
HITS = np.array([True, False, True, False, True, False, False])


def test_alarms_are_counted_from_the_threshold_on() -> None:
    assert alarms_at(SCORES, HITS, objects=4, pictures=10, threshold=0.8) == Alarms(
        threshold=0.8, false_alarms_per_picture=0.1, miss_rate=0.5, precision=2 / 3
    )


def test_no_threshold_takes_every_detection() -> None:
    assert alarms_at(SCORES, HITS, objects=3, pictures=2, threshold=None) == Alarms(
        threshold=None, false_alarms_per_picture=2.0, miss_rate=0.0, precision=3 / 7
    )


def test_what_cannot_be_said_is_none() -> None:
    none = np.zeros(0)
    assert alarms_at(none, none.astype(bool), objects=0, pictures=5, threshold=0.5) == Alarms(
        threshold=0.5, false_alarms_per_picture=0.0, miss_rate=None, precision=None
    )
    assert alarms_at(none, none.astype(bool), objects=2, pictures=5, threshold=0.5).miss_rate == 1
    assert alarms_at(none, none.astype(bool), objects=0, pictures=0, threshold=0.5).false_alarms_per_picture is None


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.0, 0.9),
        (0.05, 0.9),
        # Both detections of score 0.8 come together, one of them false.
        (0.1, 0.8),
        (0.2, 0.6),
        (0.3, 0.5),
        (0.4, 0.2),
        (9.0, 0.2),
    ],
)
def test_the_threshold_is_the_lowest_score_that_keeps_the_rate(rate: float, expected: float) -> None:
    assert threshold_for(SCORES, HITS, pictures=10, false_alarm_rate=rate) == expected


def test_a_best_detection_that_is_already_too_much_puts_the_threshold_above_it() -> None:
    threshold = threshold_for(np.array([0.7, 0.6]), np.array([False, True]), pictures=1, false_alarm_rate=0.5)
    assert threshold is not None
    assert 0.7 < threshold < 0.7001


def test_without_detections_there_is_no_threshold() -> None:
    assert threshold_for(np.zeros(0), np.zeros(0, bool), pictures=4, false_alarm_rate=1) is None


@pytest.mark.parametrize("seed", range(20))
def test_the_threshold_keeps_the_rate_and_no_lower_score_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.random(40).round(1))[::-1]
    hits = rng.random(40) < 0.5
    pictures, rate = 13, float(rng.random())
    threshold = threshold_for(scores, hits, pictures=pictures, false_alarm_rate=rate)
    assert threshold is not None

    def false_alarms(at: float) -> float:
        return float(np.count_nonzero(~hits & (scores >= at))) / pictures

    assert false_alarms(threshold) <= rate
    lower = scores[scores < threshold]
    assert not len(lower) or false_alarms(float(lower[0])) > rate
