from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sanderling.ops.array.nms import greedy_nms
from sanderling.ops.array.soft_nms import soft_nms
from tests.support.crowded import Floats, crowd, plain_iou

Decay = Literal["linear", "gaussian"]
_FOUR = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [2, 0, 12, 10], [50, 50, 60, 60]], np.float32)
_THEIR_SCORES = np.array([0.9, 0.8, 0.7, 0.6], np.float32)


def slow_soft_nms(
    boxes: Floats,
    scores: Floats,
    labels: NDArray[np.integer],
    *,
    decay: str,
    sigma: float = 0.5,
    iou_threshold: float = 0.3,
    score_threshold: float = 0.0,
) -> list[tuple[int, float]]:
    """The best of all, then the best of what is left, each time with the scores of the others lowered by one."""
    left = {index: float(score) for index, score in enumerate(scores)}
    kept = []
    while left:
        best = min(left, key=lambda index: (-left[index], labels[index], index))
        score = left.pop(best)
        if score <= score_threshold:
            break
        kept.append((best, score))
        for other in left:
            overlap = plain_iou(boxes[best], boxes[other]) if labels[other] == labels[best] else 0
            if decay == "gaussian":
                left[other] *= math.exp(-(overlap**2) / sigma)
            elif overlap > iou_threshold:
                left[other] *= 1 - overlap
    return kept


def _check(boxes: Floats, scores: Floats, labels: NDArray[np.integer], **chosen: Any) -> None:
    kept, lowered = soft_nms(boxes, scores, labels, **chosen)
    expected = slow_soft_nms(boxes, scores, labels, **chosen)
    assert kept.tolist() == [index for index, _ in expected]
    np.testing.assert_allclose(lowered, [score for _, score in expected], atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [1, 4, 80])
@pytest.mark.parametrize(
    "chosen", [{"decay": "linear"}, {"decay": "linear", "iou_threshold": 0.6}, {"decay": "gaussian", "sigma": 0.3}]
)
def test_like_the_slow_one(seed: int, classes: int, chosen: dict[str, Any]) -> None:
    boxes, scores, labels = crowd(seed, 70, classes=classes)
    _check(boxes, scores, labels, score_threshold=0.01, **chosen)


def test_classes_do_not_matter_where_none_are_given() -> None:
    boxes, scores, labels = crowd(1, 60, classes=3)
    kept, lowered = soft_nms(boxes, scores, score_threshold=0.05)
    same = soft_nms(boxes, scores, np.full_like(labels, 7), score_threshold=0.05)
    assert kept.tolist() == same[0].tolist()
    np.testing.assert_array_equal(lowered, same[1])
    assert kept.tolist() != soft_nms(boxes, scores, labels, score_threshold=0.05)[0].tolist()


def test_numbers_worked_out_by_hand() -> None:
    first, second = 90 / 110, 80 / 120
    kept, lowered = soft_nms(_FOUR, _THEIR_SCORES, decay="linear")
    # The third comes before the second, which it lowers in its turn.
    third = 0.7 * (1 - second)
    assert kept.tolist() == [0, 3, 2, 1]
    np.testing.assert_allclose(lowered, [0.9, 0.6, third, 0.8 * (1 - first) * (1 - first)], atol=1e-6)
    _, lowered = soft_nms(_FOUR[[0, 1]], _THEIR_SCORES[[0, 1]], decay="gaussian", sigma=0.5)
    np.testing.assert_allclose(lowered, [0.9, 0.8 * math.exp(-(first**2) / 0.5)], atol=1e-6)


def test_a_decay_that_leaves_next_to_nothing_is_greedy() -> None:
    corners = np.random.default_rng(4).uniform(0, 60, (80, 2))
    boxes = np.concatenate([corners, corners + 12], axis=1).astype(np.float32)
    scores = np.random.default_rng(5).permutation(np.linspace(0.5, 0.9, 80)).astype(np.float32)
    kept, _ = soft_nms(boxes, scores, decay="gaussian", sigma=1e-9, score_threshold=0.4)
    assert 0 < len(kept) < 60
    assert kept.tolist() == greedy_nms(boxes, scores, 1e-4).tolist()


def test_a_linear_decay_spares_what_overlaps_too_little() -> None:
    boxes, scores, _ = crowd(7, 40)
    kept, lowered = soft_nms(boxes, scores, decay="linear", iou_threshold=1.0)
    np.testing.assert_array_equal(kept, np.argsort(-scores, kind="stable"))
    np.testing.assert_array_equal(lowered, scores[kept])


@pytest.mark.parametrize("limit", [0, 1, 7, 500])
def test_a_limit_gives_the_first_of_all(limit: int) -> None:
    boxes, scores, labels = crowd(2, 300, classes=5)
    everything = soft_nms(boxes, scores, labels, score_threshold=0.01)
    for whole, cut in zip(everything, soft_nms(boxes, scores, labels, score_threshold=0.01, limit=limit), strict=True):
        np.testing.assert_array_equal(cut, whole[:limit])


@pytest.mark.parametrize("scores", [np.zeros(0, np.float32), np.array([0.2, 0.1], np.float32)])
def test_nothing_above_the_threshold_is_nothing(scores: Floats) -> None:
    kept, lowered = soft_nms(_FOUR[: len(scores)], scores, score_threshold=0.2)
    assert (kept.shape, lowered.shape) == ((0,), (0,))
    assert (str(kept.dtype), str(lowered.dtype)) == ("int64", "float32")


def test_given_arrays_are_left_alone() -> None:
    boxes, scores, labels = crowd(6, 50, classes=2)
    before = scores.copy()
    soft_nms(boxes, scores, labels)
    np.testing.assert_array_equal(scores, before)


_SIDES = st.integers(0, 12)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(_SIDES, _SIDES, _SIDES, _SIDES, st.integers(1, 5), st.integers(0, 2)), max_size=10),
    decay=st.sampled_from(["linear", "gaussian"]),
)
def test_any_boxes_like_the_slow_one(rows: list[tuple[int, ...]], decay: Decay) -> None:
    table = np.array(rows, np.float32).reshape(-1, 6)
    # Scores that no product of small fractions meets again.
    scores = (table[:, 4] / 5 - 0.01 * np.arange(len(table)) / np.pi).astype(np.float32)
    _check(table[:, :4], scores, table[:, 5].astype(np.int64), decay=decay, score_threshold=0.001)
