from __future__ import annotations

import math
import tracemalloc
import warnings
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sanderling.ops.array.matrix_nms import matrix_nms
from tests.support.crowded import Floats, crowd, plain_iou

Decay = Literal["linear", "gaussian"]
_FOUR = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [2, 0, 12, 10], [50, 50, 60, 60]], np.float32)
_THEIR_SCORES = np.array([0.9, 0.8, 0.7, 0.6], np.float32)


def slow_matrix_nms(
    boxes: Floats, scores: Floats, labels: NDArray[np.integer], decay: str, sigma: float
) -> list[float]:
    """Pair by pair, as it is written down: every box's score after all better ones of its class."""
    order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
    covered: dict[int, float] = {}
    lowered = [0.0] * len(scores)
    for place, box in enumerate(order):
        better = [other for other in order[:place] if labels[other] == labels[box]]
        overlaps = {other: plain_iou(boxes[other], boxes[box]) for other in better}
        covered[box] = max(overlaps.values(), default=0)
        share = 1.0
        for other, overlap in overlaps.items():
            if decay == "gaussian":
                share = min(share, math.exp((covered[other] ** 2 - overlap**2) / sigma))
            elif covered[other] < 1:
                share = min(share, (1 - overlap) / (1 - covered[other]))
        lowered[box] = float(scores[box]) * share
    return lowered


def _all_lowered(boxes: Floats, scores: Floats, labels: NDArray[np.integer] | None, **chosen: Any) -> Floats:
    """Every box's lowered score, in the order of the boxes; 0 where a box is dropped."""
    kept, lowered = matrix_nms(boxes, scores, labels, **chosen)
    assert np.all(np.diff(lowered) <= 0)
    assert lowered.dtype == scores.dtype
    found = np.zeros(len(scores))
    found[kept] = lowered
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [1, 4, 80])
@pytest.mark.parametrize(("decay", "sigma"), [("linear", 0.5), ("gaussian", 0.5), ("gaussian", 2.0)])
def test_like_the_slow_one(seed: int, classes: int, decay: Decay, sigma: float) -> None:
    boxes, scores, labels = crowd(seed, 150, classes=classes)
    found = _all_lowered(boxes, scores, labels, decay=decay, sigma=sigma)
    np.testing.assert_allclose(found, slow_matrix_nms(boxes, scores, labels, decay, sigma), atol=1e-6)


def test_classes_do_not_matter_where_none_are_given() -> None:
    boxes, scores, labels = crowd(1, 90, classes=3)
    everyone = _all_lowered(boxes, scores, None)
    np.testing.assert_allclose(everyone, slow_matrix_nms(boxes, scores, np.zeros_like(labels), "linear", 1), atol=1e-6)
    assert not np.allclose(everyone, _all_lowered(boxes, scores, labels))


# The published kernel multiplies by 2.0 where sigma divides here: 1 / 0.5.
@pytest.mark.parametrize(
    ("decay", "expected"), [("linear", [0.9, 0.1455, 0.2333, 0.6]), ("gaussian", [0.9, 0.2097, 0.2878, 0.6])]
)
def test_the_third_of_a_row_outranks_the_second(decay: Decay, expected: list[float]) -> None:
    kept, lowered = matrix_nms(_FOUR, _THEIR_SCORES, decay=decay, sigma=0.5)
    assert kept.tolist() == [0, 3, 2, 1]
    np.testing.assert_allclose(lowered, np.sort(expected)[::-1], atol=5e-5)


@pytest.mark.parametrize("decay", ["linear", "gaussian"])
def test_a_box_that_equals_a_better_one_takes_nothing_itself(decay: Decay) -> None:
    """Of three, the second equals the first: the third loses what the first takes, no more, and nothing is divided."""
    boxes = _FOUR[[0, 0, 2]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twice = _all_lowered(boxes, _THEIR_SCORES[:3], None, decay=decay)
    once = _all_lowered(boxes[[0, 2]], _THEIR_SCORES[[0, 2]], None, decay=decay)
    assert twice[[0, 2]] == pytest.approx(once, abs=1e-7)
    if decay == "linear":
        assert twice[1] == 0


def test_twins_of_twins_are_all_dropped() -> None:
    kept, lowered = matrix_nms(np.repeat(_FOUR[:1], 200, axis=0), np.full(200, 0.5, np.float32))
    assert kept.tolist() == [0]
    assert lowered.tolist() == [0.5]


@pytest.mark.parametrize("limit", [0, 1, 7, 1500, 5000])
def test_a_limit_gives_the_first_of_all(limit: int) -> None:
    boxes, scores, labels = crowd(2, 2500, classes=5, extent=900)
    everything = matrix_nms(boxes, scores, labels, score_threshold=0.01)
    first = matrix_nms(boxes, scores, labels, score_threshold=0.01, limit=limit)
    for whole, cut in zip(everything, first, strict=True):
        np.testing.assert_array_equal(cut, whole[:limit])


def test_a_lowered_score_at_the_threshold_does_not_pass() -> None:
    kept, _ = matrix_nms(_FOUR[[0, 3]], np.array([0.75, 0.5], np.float32), score_threshold=0.5)
    assert kept.tolist() == [0]


@pytest.mark.parametrize("labels", [None, np.zeros(0, np.int64)])
def test_nothing_in_nothing_out(labels: NDArray[np.int64] | None) -> None:
    kept, lowered = matrix_nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), labels, limit=3)
    assert (kept.shape, lowered.shape) == ((0,), (0,))
    assert (str(kept.dtype), str(lowered.dtype)) == ("int64", "float32")


def test_memory_does_not_grow_with_the_square_of_the_boxes() -> None:
    boxes, scores, _ = crowd(3, 2500)
    tracemalloc.start()
    matrix_nms(boxes, scores)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All pairs at once would be 50 MB an array.
    assert peak < 4e6


_SIDES = st.integers(0, 12)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(_SIDES, _SIDES, _SIDES, _SIDES, st.integers(0, 5), st.integers(0, 2)), max_size=12),
    decay=st.sampled_from(["linear", "gaussian"]),
)
def test_any_boxes_like_the_slow_one(rows: list[tuple[int, ...]], decay: Decay) -> None:
    table = np.array(rows, np.float32).reshape(-1, 6)
    boxes, scores, labels = table[:, :4], table[:, 4] / 5, table[:, 5].astype(np.int64)
    found = _all_lowered(boxes, scores, labels, decay=decay)
    assert np.all(found <= scores)
    np.testing.assert_allclose(found, slow_matrix_nms(boxes, scores, labels, decay, 0.5), atol=1e-6)
