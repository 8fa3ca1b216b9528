from __future__ import annotations

import numpy as np
import pytest

from sanderling.datasets.dataset import Dataset
from sanderling.evaluation.flat import FlatDetections, flatten
from sanderling.evaluation.matching import match
from sanderling.evaluation.voc import average_precisions
from sanderling.ops.array.boxes import iou
from tests.support.scored import random_split, split_of


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_both_forms_equal_a_slow_oracle_from_boxes_to_precision(seed: int, coarse: bool) -> None:
    dataset, detections = random_split(seed, classes=4, coarse=coarse)
    # VOC knows no crowd regions; they would need a rule of our own in the oracle.
    dataset = dataset_without_crowd(dataset)
    found = flatten(dataset, detections)
    matching = match(dataset, found)
    for label in range(4):
        _, hits = matching.of_class(label)
        eleven, area = average_precisions(hits, int(matching.objects[label]))
        expected = oracle(dataset, found, label)
        assert (eleven, area) == ((None, None) if expected is None else pytest.approx(expected))
        if label < 2:
            assert area is not None
            assert 0 < area < 1


def test_a_recall_that_reaches_a_grid_point_exactly_counts_there() -> None:
    # 3 of 10 found at once: recalls 0.1, 0.2, 0.3 give the points 0, 0.1, 0.2 and 0.3.
    eleven, area = average_precisions(np.array([True] * 3), 10)
    assert eleven == pytest.approx(4 / 11)
    assert area == pytest.approx(0.3)


def test_nothing_found_is_zero_and_nothing_to_find_is_none() -> None:
    assert average_precisions(np.zeros(0, bool), 3) == (0, 0)
    assert average_precisions(np.array([False, False]), 3) == (0, 0)
    assert average_precisions(np.array([False]), 0) == (None, None)


def dataset_without_crowd(dataset: Dataset) -> Dataset:
    pictures = [
        [
            (int(dataset.labels[box]), tuple(dataset.boxes_xyxy[box].tolist()))
            for box in range(dataset.boxes_of(index).start, dataset.boxes_of(index).stop)
        ]
        for index in range(len(dataset))
    ]
    return split_of(pictures, dataset.class_names, difficult=np.flatnonzero(dataset.difficult).tolist())


def oracle(dataset: Dataset, found: FlatDetections, label: int) -> tuple[float, float] | None:
    """The development kit, line by line: 11-point and whole-curve precision of one class; None without objects."""
    objects = int(np.count_nonzero((dataset.labels == label) & ~dataset.difficult))
    if not objects:
        return None
    rows = [row for row in range(len(found)) if found.labels[row] == label]
    rows.sort(key=lambda row: -found.scores[row])
    taken: set[int] = set()
    true, false = 0, 0
    finds, precisions = [0], [0.0]
    for row in rows:
        where = dataset.boxes_of(int(found.picture_index[row]))
        own = [box for box in range(where.start, where.stop) if dataset.labels[box] == label]
        overlaps = [float(iou(found.boxes_xyxy[[row]], dataset.boxes_xyxy[[box]])[0, 0]) for box in own]
        best = overlaps.index(max(overlaps)) if overlaps else -1
        if best >= 0 and overlaps[best] >= 0.5:
            if dataset.difficult[own[best]]:
                continue
            if own[best] in taken:
                false += 1
            else:
                taken.add(own[best])
                true += 1
        else:
            false += 1
        finds.append(true)
        precisions.append(true / (true + false))
    eleven = 0.0
    for tenth in range(11):
        # Recall of at least so many tenths, in whole numbers.
        reached = [p for n, p in zip(finds[1:], precisions[1:], strict=True) if 10 * n >= tenth * objects]
        eleven += max(reached, default=0.0) / 11
    area = 0.0
    for index in range(1, len(finds)):
        area += (finds[index] - finds[index - 1]) / objects * max(precisions[index:])
    return eleven, area
