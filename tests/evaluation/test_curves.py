from __future__ import annotations

import numpy as np
import pytest

from sanderling.evaluation.curves import confusion_matrix, score_curves
from sanderling.evaluation.evaluate import evaluate
from sanderling.structures.detections import Detections
from tests.support.scored import found_of, random_split, split_of

BOX = (10.0, 20.0, 60.0, 90.0)
OTHER = (200.0, 200.0, 260.0, 240.0)
FAR = (300.0, 300.0, 350.0, 350.0)


@pytest.mark.parametrize("coarse", [False, True])
def test_every_point_of_a_curve_is_what_evaluate_counts_at_that_threshold(coarse: bool) -> None:
    dataset, detections = random_split(2, coarse=coarse)
    for label, curve in enumerate(score_curves(dataset, detections)):
        assert (np.diff(curve.scores) < 0).all()
        for index in range(0, len(curve.scores), 5):
            entry = evaluate(dataset, detections, threshold=float(curve.scores[index])).per_class[label]
            assert entry.precision == pytest.approx(curve.precision[index])
            assert 1 - (entry.miss_rate or 0) == pytest.approx(curve.recall[index])


def test_f1_is_the_harmonic_mean_and_its_best_is_found() -> None:
    dataset, detections = random_split(3)
    curve = score_curves(dataset, detections)[0]
    mean = 2 * curve.precision * curve.recall / np.maximum(curve.precision + curve.recall, 1e-12)
    np.testing.assert_allclose(curve.f1, mean)
    assert curve.best is not None
    threshold, f1 = curve.best
    assert f1 == curve.f1.max()
    assert threshold in curve.scores


def test_a_class_without_objects_or_detections_has_an_empty_curve() -> None:
    curves = score_curves(split_of([[(0, BOX)]]), [found_of([(1, 0.5, BOX)])])
    assert [len(curve.scores) for curve in curves] == [0, 0]
    assert curves[0].best is None


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    scores = np.linspace(1, 0, 5000)
    found = found_of([(0, float(score), FAR) for score in scores])
    curve = score_curves(split_of([[(0, BOX)]]), [found])[0]
    assert len(curve.scores) == 1000
    assert (curve.scores[0], curve.scores[-1]) == (1, 0)


def test_confusion_is_counted_by_class() -> None:
    dataset = split_of([[(0, BOX), (1, OTHER)], [(0, BOX)]])
    detections = [
        found_of([(1, 0.9, BOX), (1, 0.8, OTHER), (0, 0.7, FAR), (1, 0.1, FAR)]),
        Detections.empty(("fire", "smoke")),
    ]
    matrix = confusion_matrix(dataset, detections, threshold=0.25)
    #                                 fire smoke nothing
    assert matrix.counts.tolist() == [[0, 1, 1], [0, 1, 0], [1, 0, 0]]
    assert matrix.threshold == 0.25


def test_the_largest_overlap_pairs_first() -> None:
    near = (10.0, 20.0, 60.0, 88.0)
    detections = [found_of([(1, 0.99, near), (0, 0.3, BOX)])]
    assert confusion_matrix(split_of([[(0, BOX)]]), detections).counts.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_difficult_objects_and_crowds_count_nowhere() -> None:
    dataset = split_of([[(0, BOX), (0, OTHER)]], crowd=[0], difficult=[1])
    counts = confusion_matrix(dataset, [found_of([(0, 0.9, BOX), (1, 0.9, OTHER)])]).counts
    assert counts.sum() == 0


@pytest.mark.parametrize("seed", range(3))
def test_rows_and_columns_add_up(seed: int) -> None:
    dataset, detections = random_split(seed)
    matrix = confusion_matrix(dataset, detections, threshold=0)
    countable = ~dataset.crowd & ~dataset.difficult
    objects = np.bincount(dataset.labels[countable], minlength=len(dataset.class_names))
    np.testing.assert_array_equal(matrix.counts[:-1].sum(axis=1), objects)
    assert matrix.counts[:, :-1].sum() <= sum(len(found) for found in detections)
    assert matrix.counts[-1, -1] == 0
