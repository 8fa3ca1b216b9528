from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.ops.array.matrix_nms import matrix_nms
from sanderling.ops.array.nms import greedy_nms
from sanderling.ops.array.postprocess import MOST_CANDIDATES, MOST_LOWERED, candidates, postprocess
from sanderling.ops.array.soft_nms import soft_nms
from sanderling.pictures import place
from sanderling.structures.artefact import MatrixNms, NoSuppression, PictureRule, PostprocessRule, SoftNms, Suppression

RULE = PostprocessRule(score=0.3, iou=0.5, max_detections=20, multi_label=True)
Found = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


def unmoved(boxes: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(boxes, np.float32)


def noisy(seed: int, points: int, classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    corners = random.uniform(-10, 90, (points, 2))
    boxes = np.concatenate([corners, corners + random.uniform(4, 50, (points, 2))], axis=1)
    # A grid of scores gives ties.
    return boxes.astype(np.float32), (random.integers(0, 40, (points, classes)) / 40).astype(np.float32)


def slow(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], rule: PostprocessRule
) -> list[tuple[float, int, int]]:
    """One candidate after the other, one suppression per class: (score, label, point), best first."""
    pairs = [
        (point, label)
        for point in range(len(scores))
        for label in range(scores.shape[1])
        if scores[point, label] > rule.score and (rule.multi_label or label == int(scores[point].argmax()))
    ]
    kept = []
    groups = [None] if rule.class_agnostic else list(range(scores.shape[1]))
    for group in groups:
        chosen = [pair for pair in pairs if group is None or pair[1] == group]
        if chosen:
            rows = [point for point, _ in chosen]
            own = np.array([scores[pair] for pair in chosen])
            kept += [(float(own[at]), chosen[at][1], chosen[at][0]) for at in greedy_nms(boxes[rows], own, rule.iou)]
    return sorted(kept, key=lambda found: (-found[0], found[2], found[1]))[: rule.max_detections]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("multi_label", [True, False])
@pytest.mark.parametrize("class_agnostic", [True, False])
def test_like_the_slow_one(seed: int, multi_label: bool, class_agnostic: bool) -> None:
    rule = dataclasses.replace(RULE, multi_label=multi_label, class_agnostic=class_agnostic)
    boxes, scores = noisy(seed, 60, 3)
    found_boxes, found_scores, found_labels = postprocess(boxes, scores, to_original=unmoved, rule=rule)
    expected = slow(boxes, scores, rule)
    assert [(float(score), int(label)) for score, label in zip(found_scores, found_labels, strict=True)] == [
        (score, label) for score, label, _ in expected
    ]
    np.testing.assert_array_equal(found_boxes, boxes[[point for _, _, point in expected]])


@pytest.mark.parametrize("multi_label", [True, False])
@pytest.mark.parametrize("class_agnostic", [True, False])
@pytest.mark.parametrize(
    "suppression", [SoftNms(), SoftNms(decay="linear"), MatrixNms(), MatrixNms(decay="gaussian", sigma=1.5)]
)
def test_lowered_scores_are_thresholded_and_ranked_anew(
    suppression: SoftNms | MatrixNms, class_agnostic: bool, multi_label: bool
) -> None:
    rule = dataclasses.replace(
        RULE,
        iou=0.2,
        suppression=suppression,
        class_agnostic=class_agnostic,
        multi_label=multi_label,
        max_detections=70,
    )
    boxes, scores = noisy(6, 60, 3)
    points, labels, own = candidates(scores, rule)
    classes = np.zeros_like(labels) if class_agnostic else labels
    if suppression.kind == "soft":
        kept, lowered = soft_nms(
            boxes[points], own, classes, decay=suppression.decay, sigma=suppression.sigma, iou_threshold=rule.iou
        )
    else:
        kept, lowered = matrix_nms(boxes[points], own, classes, decay=suppression.decay, sigma=suppression.sigma)
    passing = lowered > rule.score
    kept, lowered = kept[passing][:70], lowered[passing][:70]
    found_boxes, found_scores, found_labels = postprocess(boxes, scores, to_original=unmoved, rule=rule)
    assert np.any(lowered < own[kept])
    np.testing.assert_array_equal(found_boxes, boxes[points[kept]])
    np.testing.assert_array_equal(found_scores, lowered)
    np.testing.assert_array_equal(found_labels, labels[kept])


def test_without_suppression_all_boxes_stay() -> None:
    boxes, scores = noisy(7, 60, 3)
    rule = dataclasses.replace(RULE, suppression=NoSuppression(), max_detections=5000)
    found = postprocess(boxes, scores, to_original=unmoved, rule=rule)
    np.testing.assert_array_equal(found[1], np.sort(scores[scores > RULE.score])[::-1])


@pytest.mark.parametrize("suppression", [SoftNms(), MatrixNms(), NoSuppression()])
def test_nothing_is_left_of_nothing(suppression: Suppression) -> None:
    rule = dataclasses.replace(RULE, suppression=suppression)
    found = postprocess(np.zeros((4, 4), np.float32), np.zeros((4, 3), np.float32), to_original=unmoved, rule=rule)
    assert [part.shape for part in found] == [(0, 4), (0,), (0,)]


def test_scores_are_lowered_of_more_candidates_than_greedy_looks_at() -> None:
    """The last box is alone in its place and beats the lowered scores of thousands of twins before it."""
    count = MOST_CANDIDATES + 50
    boxes = np.tile(np.array([0, 0, 9, 9], np.float32), (count, 1))
    boxes[-1] += 40
    scores = np.linspace(0.9, 0.4, count, dtype=np.float32)[:, None]
    assert count < MOST_LOWERED
    found = postprocess(boxes, scores, to_original=unmoved, rule=dataclasses.replace(RULE, suppression=MatrixNms()))
    np.testing.assert_array_equal(found[1], scores[[0, -1], 0])


def test_several_classes_of_one_point_or_only_its_best() -> None:
    boxes, scores = np.array([[0, 0, 9, 9]], np.float32), np.array([[0.6, 0.9, 0.1]], np.float32)
    both = postprocess(boxes, scores, to_original=unmoved, rule=RULE)
    best = postprocess(boxes, scores, to_original=unmoved, rule=dataclasses.replace(RULE, multi_label=False))
    assert both[2].tolist() == [1, 0]
    assert best[2].tolist() == [1]


def test_overlapping_boxes_of_two_classes_stay_unless_classes_do_not_matter() -> None:
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 9]], np.float32)
    scores = np.array([[0.8, 0], [0, 0.7]], np.float32)
    apart = postprocess(boxes, scores, to_original=unmoved, rule=RULE)
    together = postprocess(boxes, scores, to_original=unmoved, rule=dataclasses.replace(RULE, class_agnostic=True))
    assert apart[2].tolist() == [0, 1]
    assert together[2].tolist() == [0]


def test_a_score_at_the_threshold_does_not_pass() -> None:
    boxes = np.array([[0, 0, 9, 9]], np.float32)
    rule = dataclasses.replace(RULE, score=0.5)
    assert len(postprocess(boxes, np.array([[0.5]], np.float32), to_original=unmoved, rule=rule)[0]) == 0


def test_at_most_the_wanted_number() -> None:
    boxes = np.array([[10 * at, 0, 10 * at + 5, 5] for at in range(50)], np.float32)
    scores = np.linspace(0.5, 0.99, 50, dtype=np.float32)[:, None]
    found = postprocess(boxes, scores, to_original=unmoved, rule=dataclasses.replace(RULE, max_detections=7))
    np.testing.assert_array_equal(found[1], np.sort(scores[:, 0])[::-1][:7])


@pytest.mark.parametrize("points", [0, 5])
@pytest.mark.parametrize("multi_label", [True, False])
def test_nothing_found_has_the_right_shapes(points: int, multi_label: bool) -> None:
    boxes, scores = np.zeros((points, 4), np.float32), np.zeros((points, 3), np.float32)
    rule = dataclasses.replace(RULE, multi_label=multi_label)
    found_boxes, found_scores, found_labels = postprocess(boxes, scores, to_original=unmoved, rule=rule)
    assert (found_boxes.shape, found_scores.shape, found_labels.shape) == ((0, 4), (0,), (0,))
    assert [str(part.dtype) for part in (found_boxes, found_scores, found_labels)] == ["float32", "float32", "int64"]


@pytest.mark.parametrize("multi_label", [True, False])
@pytest.mark.parametrize("class_agnostic", [True, False])
def test_what_is_no_number_disturbs_nobody(multi_label: bool, class_agnostic: bool) -> None:
    rule = dataclasses.replace(RULE, multi_label=multi_label, class_agnostic=class_agnostic)
    boxes = np.array([[40 * at, 0, 40 * at + 20, 20] for at in range(6)], np.float32)
    scores = np.array([[0.9, 0.1], [np.nan, 0.8], [0.7, 0.2], [0.1, 0.6], [0.5, 0.1], [np.nan, np.nan]], np.float32)
    boxes[2, 1], boxes[4, 3] = np.nan, np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found_boxes, found_scores, found_labels = postprocess(boxes, scores, to_original=unmoved, rule=rule)
    np.testing.assert_array_equal(found_scores, np.array([0.9, 0.8, 0.6], np.float32))
    assert found_labels.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(found_boxes, boxes[[0, 1, 3]])


def test_more_candidates_than_go_into_suppression() -> None:
    boxes, scores = noisy(3, 1500, 4)
    passing = np.sort(scores[scores > RULE.score])[::-1]
    assert len(passing) > MOST_CANDIDATES
    found = postprocess(boxes, scores, to_original=unmoved, rule=dataclasses.replace(RULE, max_detections=10))
    assert found[1][0] == passing[0]
    assert len(found[1]) == 10


def test_a_layout_whose_classes_come_first_gives_the_same() -> None:
    boxes, scores = noisy(5, 80, 3)
    turned = np.ascontiguousarray(scores.T).T
    assert not turned.flags.c_contiguous
    straight = postprocess(boxes, scores, to_original=unmoved, rule=RULE)
    for one, other in zip(straight, postprocess(boxes, turned, to_original=unmoved, rule=RULE), strict=True):
        np.testing.assert_array_equal(one, other)


def test_half_precision_keeps_many_classes_apart() -> None:
    boxes = np.array([[300, 300, 310, 310], [300, 300, 310, 310]], np.float16)
    scores = np.zeros((2, 80), np.float16)
    scores[0, 78], scores[1, 79] = 0.9, 0.8
    assert postprocess(boxes, scores, to_original=unmoved, rule=RULE)[2].tolist() == [78, 79]


def test_boxes_come_back_to_the_original_picture() -> None:
    placement = place((100, 300), PictureRule(size_hw=(96, 160)))
    boxes = placement.to_network(np.array([[30.0, 10, 90, 60]]))
    scores = np.array([[0.9]], np.float32)
    found = postprocess(boxes, scores, to_original=placement.to_original, rule=RULE)
    np.testing.assert_allclose(found[0], [[30, 10, 90, 60]], atol=1e-3)
