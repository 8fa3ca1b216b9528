"""Lowered scores compared with the range that near ties leave them."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.export.lowered import same_lowered
from sanderling.ops.array.postprocess import postprocess
from sanderling.structures.artefact import MatrixNms, PostprocessRule
from sanderling.structures.detections import Detections
from tests.support.crowded import crowd

Floats = NDArray[np.float32]
_RULE = PostprocessRule(score=0.05, max_detections=60, suppression=MatrixNms())


def _output(seed: int) -> tuple[Floats, Floats]:
    """Boxes (A, 4) and scores (A, C) of 50 points; many scores tie."""
    boxes, _, _ = crowd(seed, 50)
    scores = np.random.default_rng(seed).integers(0, 20, (50, 2)) / 20
    return boxes.astype(np.float32), scores.astype(np.float32)


def _found(boxes: Floats, scores: Floats, rule: PostprocessRule) -> Detections:
    kept, confidences, labels = postprocess(
        boxes, scores, to_original=lambda moved: moved.astype(np.float32), rule=rule
    )
    return Detections(boxes_xyxy=kept, scores=confidences, labels=labels, class_names=("a", "b"))


def _same(boxes: Floats, scores: Floats, found: Detections, rule: PostprocessRule = _RULE) -> bool:
    return same_lowered(boxes, scores, found, rule=rule, most=1000, box_tolerance=0.05, score_tolerance=1e-4)


@pytest.mark.parametrize("decay", ["linear", "gaussian"])
@pytest.mark.parametrize("class_agnostic", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_ties_may_fall_either_way(decay: Literal["linear", "gaussian"], class_agnostic: bool, seed: int) -> None:
    rule = dataclasses.replace(_RULE, suppression=MatrixNms(decay=decay), class_agnostic=class_agnostic)
    boxes, scores = _output(seed)
    moved = scores + np.random.default_rng(seed).uniform(-5e-5, 5e-5, scores.shape).astype(np.float32)
    ours, theirs = _found(boxes, scores, rule), _found(boxes, moved, rule)
    assert _same(boxes, scores, ours, rule)
    assert _same(boxes, scores, theirs, rule)
    # How the ties fall does show, far beyond the tolerance.
    assert len(ours) != len(theirs) or np.abs(ours.scores - theirs.scores).max() > 0.001


def _without_ties(seed: int) -> tuple[Floats, Floats]:
    scores = np.random.default_rng(seed).permutation(np.linspace(0.02, 0.98, 100, dtype=np.float32))
    return _output(seed)[0], scores.reshape(50, 2)


@pytest.mark.parametrize("seed", range(3))
def test_a_wrong_score_or_box_or_class_is_seen(seed: int) -> None:
    boxes, scores = _without_ties(seed)
    found = _found(boxes, scores, _RULE)
    assert _same(boxes, scores, found)
    middle = len(found) // 2
    higher, moved, other = found.scores.copy(), found.boxes_xyxy.copy(), found.labels.copy()
    higher[middle] += 0.001
    moved[middle, 2] += 0.2
    other[middle] = 1 - other[middle]
    for changes in ({"scores": higher}, {"boxes_xyxy": moved}, {"labels": other}):
        assert not _same(boxes, scores, dataclasses.replace(found, **changes))


@pytest.mark.parametrize("seed", range(3))
def test_a_missing_detection_is_seen(seed: int) -> None:
    boxes, scores = _without_ties(seed)
    found = _found(boxes, scores, _RULE)
    for gone in (0, len(found) // 2):
        assert not _same(boxes, scores, found.select(np.delete(np.arange(len(found)), gone)))
    assert not _same(boxes, scores, found.select(np.zeros(0, np.int64)))


def test_scores_lowered_twice_are_seen() -> None:
    boxes, scores = _without_ties(1)
    once = _found(boxes, scores, _RULE)
    spread = np.zeros((len(once), 2), np.float32)
    spread[np.arange(len(once)), once.labels] = once.scores
    assert not _same(boxes, scores, _found(once.boxes_xyxy, spread, _RULE))


def test_nothing_is_the_same_as_nothing() -> None:
    boxes, scores = np.zeros((3, 4), np.float32), np.zeros((3, 2), np.float32)
    assert _same(boxes, scores, _found(boxes, scores, _RULE))


def test_the_last_candidate_that_the_graph_looks_at_may_be_another_one() -> None:
    # Far apart, so that nothing is lowered: of 40 boxes the graph looks at 30, and around the 30th four scores tie.
    left = np.arange(40, dtype=np.float32)[:, None] * 20
    boxes = np.concatenate([left, np.zeros_like(left), left + 10, np.full_like(left, 10)], axis=1)
    scores = np.linspace(0.9, 0.1, 40, dtype=np.float32)
    scores[28:32] = scores[28]

    def same(of_graph: list[int]) -> bool:
        found = Detections(
            boxes_xyxy=boxes[of_graph],
            scores=scores[of_graph],
            labels=np.zeros(len(of_graph), np.int64),
            class_names=("a",),
        )
        return same_lowered(
            boxes, scores[:, None], found, rule=_RULE, most=30, box_tolerance=0.05, score_tolerance=1e-4
        )

    assert same([*range(30)])
    assert same([*range(28), 30, 31])
    assert not same([*range(27), 28, 29, 30])  # one is missing that was ahead of them
    assert not same([*range(28), 28, 32])  # one is there that was behind them
