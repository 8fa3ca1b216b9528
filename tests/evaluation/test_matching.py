from __future__ import annotations

import numpy as np
import pytest

from sanderling.datasets.dataset import Dataset
from sanderling.evaluation.flat import FlatDetections, flatten
from sanderling.evaluation.matching import match, pair_overlaps, pairs_within
from sanderling.ops.array.boxes import intersection, iou
from tests.support.scored import found_of, random_split, split_of

BOX = (10.0, 10.0, 30.0, 50.0)


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_matching_equals_a_slow_obvious_one(seed: int, coarse: bool) -> None:
    dataset, detections = random_split(seed, coarse=coarse)
    found = flatten(dataset, detections)
    matching = match(dataset, found)
    finds, ignored = slow_match(dataset, found, threshold=0.5)
    assert {int(row): int(box) for row, box in zip(matching.order, matching.found, strict=True) if box >= 0} == finds
    assert {int(row) for row, skip in zip(matching.order, matching.ignored, strict=True) if skip} == ignored
    assert finds
    assert ignored


def test_detections_are_sorted_by_class_then_score_and_equal_scores_keep_their_order() -> None:
    dataset, detections = random_split(1, coarse=True)
    found = flatten(dataset, detections)
    matching = match(dataset, found)
    expected = sorted(range(len(found)), key=lambda row: (found.labels[row], -found.scores[row], row))
    assert matching.order.tolist() == expected
    assert matching.first.tolist() == [0, *np.cumsum(np.bincount(found.labels, minlength=6)).tolist()]


def test_a_second_detection_of_one_object_is_false() -> None:
    scores, hits = match(split_of([[(0, BOX)]]), flat([(0, 0.5, BOX), (0, 0.9, BOX)])).of_class(0)
    np.testing.assert_allclose(scores, [0.9, 0.5])
    assert hits.tolist() == [True, False]


def test_an_overlap_of_exactly_the_threshold_is_enough() -> None:
    half = (10.0, 10.0, 30.0, 30.0)
    assert match(split_of([[(0, BOX)]]), flat([(0, 0.5, half)])).found.tolist() == [0]


def test_another_class_or_picture_is_never_found() -> None:
    dataset = split_of([[(0, BOX)], []])
    found = FlatDetections.of([found_of([(1, 0.5, BOX)]), found_of([(0, 0.5, BOX)])], dataset.class_names)
    assert match(dataset, found).found.tolist() == [-1, -1]


def test_what_falls_on_difficult_objects_or_into_crowds_counts_neither_way() -> None:
    crowd_region = (100.0, 100.0, 400.0, 400.0)
    dataset = split_of([[(0, BOX), (0, crowd_region)]], crowd=[1], difficult=[0])
    found = flat([(0, 0.9, BOX), (0, 0.8, BOX), (0, 0.7, (150, 150, 170, 170)), (0, 0.6, (390, 390, 420, 420))])
    matching = match(dataset, found)
    assert matching.ignored.tolist() == [True, True, True, False]
    assert matching.objects.tolist() == [0, 0]
    assert not matching.counted.any()


def test_nothing_to_match_gives_empty_results() -> None:
    empty = match(split_of([[]]), flat([]))
    assert len(empty.order) == 0
    assert empty.of_class(1)[0].shape == (0,)
    assert match(split_of([[]]), flat([(0, 0.5, BOX)])).found.tolist() == [-1]
    assert match(split_of([[(0, BOX)]]), flat([])).objects.tolist() == [1, 0]


def test_pairs_are_those_of_equal_groups() -> None:
    boxes, detections = np.array([5, 3, 5, 9]), np.array([9, 4, 5, 3, 5])
    pairs = zip(*pairs_within(boxes, detections), strict=True)
    assert [(int(d), int(b)) for d, b in pairs] == [(0, 3), (2, 0), (2, 2), (3, 1), (4, 0), (4, 2)]


def test_pair_overlaps_equal_the_matrix_form() -> None:
    rng = np.random.default_rng(0)
    first, second = (np.sort(rng.random((30, 2, 2)) * 50, axis=1).reshape(30, 4) for _ in range(2))
    first[3] = second[3] = 0
    np.testing.assert_allclose(pair_overlaps(first, second), np.diag(iou(first, second)))
    within = np.arange(30) % 2 == 0
    share = np.diag(intersection(first, second)) / np.maximum(
        (first[:, 2] - first[:, 0]) * (first[:, 3] - first[:, 1]), 1e-9
    )
    np.testing.assert_allclose(pair_overlaps(first, second, within_first=within)[within], share[within])


def flat(rows: list[tuple[int, float, tuple[float, float, float, float]]]) -> FlatDetections:
    return FlatDetections.of([found_of(rows)], ("fire", "smoke"))


def slow_match(dataset: Dataset, found: FlatDetections, *, threshold: float) -> tuple[dict[int, int], set[int]]:
    """Row to object for the detections that find one, and the rows that are ignored; loops only."""
    finds: dict[int, int] = {}
    ignored: set[int] = set()
    for row in sorted(range(len(found)), key=lambda row: (-found.scores[row], row)):
        where = dataset.boxes_of(int(found.picture_index[row]))
        own = [box for box in range(where.start, where.stop) if dataset.labels[box] == found.labels[row]]
        objects = [box for box in own if not dataset.crowd[box]]
        overlaps = [float(iou(found.boxes_xyxy[[row]], dataset.boxes_xyxy[[box]])[0, 0]) for box in objects]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best >= 0 and overlaps[best] >= threshold:
            if dataset.difficult[objects[best]]:
                ignored.add(row)
            elif objects[best] not in finds.values():
                finds[row] = objects[best]
            continue
        left, top, right, bottom = found.boxes_xyxy[row]
        area = (right - left) * (bottom - top)
        shares = [
            float(intersection(found.boxes_xyxy[[row]], dataset.boxes_xyxy[[box]])[0, 0]) / area
            for box in own
            if dataset.crowd[box] and area > 0
        ]
        if any(share >= threshold for share in shares):
            ignored.add(row)
    return finds, ignored
