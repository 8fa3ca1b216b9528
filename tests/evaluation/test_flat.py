import numpy as np
import pytest

from sanderling.errors import DataError, UsageError
from sanderling.evaluation.flat import FlatDetections, class_map, flatten
from sanderling.structures.detections import Detections
from tests.support.scored import found_of, random_split, split_of

NAMES = ("fire", "smoke")


def test_detections_are_joined_in_the_order_of_the_pictures() -> None:
    first = found_of([(1, 0.5, (0, 0, 10, 10)), (0, 0.9, (5, 5, 7, 9))])
    found = FlatDetections.of([first, Detections.empty(NAMES), first], NAMES)
    assert found.picture_index.tolist() == [0, 0, 2, 2]
    assert found.labels.tolist() == [1, 0, 1, 0]
    assert found.boxes_xyxy[3].tolist() == [5, 5, 7, 9]
    assert found.pictures == 3
    assert len(found) == 4


def test_no_pictures_give_no_detections() -> None:
    assert len(FlatDetections.of([], NAMES)) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_with_a_number_that_is_not_finite_are_left_out_and_counted(bad: float) -> None:
    rows = [(0, 0.5, (bad, 0.0, 1.0, 1.0)), (0, bad, (0.0, 0.0, 1.0, 1.0)), (1, 0.25, (0.0, 0.0, 1.0, 1.0))]
    found = FlatDetections.of([found_of(rows)], NAMES)
    assert found.not_finite == 2
    assert found.scores.tolist() == [0.25]


def test_numbers_that_overflow_float32_count_as_not_finite() -> None:
    found = FlatDetections.finite(
        picture_index=np.zeros(2, np.int64),
        boxes_xyxy=np.array([[0, 0, 1e300, 1], [0, 0, 1e10, 1]]),
        scores=np.ones(2),
        labels=np.zeros(2, np.int64),
        pictures=1,
    )
    assert found.not_finite == 1
    assert len(found) == 1


def test_labels_are_mapped_by_name_and_further_classes_left_out() -> None:
    model = ("crane", "smoke", "fire")
    found = FlatDetections.of(
        [found_of([(0, 0.9, (0, 0, 1, 1)), (2, 0.8, (0, 0, 2, 2)), (1, 0.7, (0, 0, 3, 3))], model)], NAMES
    )
    assert found.labels.tolist() == [0, 1]
    assert found.not_finite == 0


def test_pictures_of_two_detectors_with_classes_in_another_order_are_understood() -> None:
    box = (0.0, 0.0, 4.0, 4.0)
    found = FlatDetections.of([found_of([(0, 0.9, box)]), found_of([(0, 0.9, box)], ("smoke", "fire"))], NAMES)
    assert found.labels.tolist() == [0, 1]


def test_a_class_that_the_model_does_not_know_is_an_error() -> None:
    with pytest.raises(DataError, match=r"class 'smoke' .* unknown to the model.*did you mean 'smoking'"):
        class_map(("fire", "smoking"), NAMES)


def test_of_many_classes_only_some_are_named() -> None:
    with pytest.raises(DataError, match=r"it knows 90: class 0, class 1, class 2, class 3, class 4 \.\.\.; use"):
        class_map(tuple(f"class {number}" for number in range(90)), NAMES)


def test_a_name_that_stands_twice_cannot_be_mapped() -> None:
    with pytest.raises(DataError, match="'fire' stands twice"):
        class_map(("fire", "fire"), ("fire",))


def test_as_many_entries_as_pictures_are_expected() -> None:
    with pytest.raises(UsageError, match="detections of 1 pictures were given for 2 pictures"):
        flatten(split_of([[], []]), [Detections.empty(NAMES)])


def test_flat_detections_fall_apart_into_pictures_best_first() -> None:
    dataset, detections = random_split(3)
    found = flatten(dataset, detections)
    again = found.per_picture(dataset.class_names)
    assert len(again) == len(dataset)
    for before, after in zip(detections, again, strict=True):
        order = np.argsort(-before.scores, kind="stable")
        np.testing.assert_array_equal(after.boxes_xyxy, before.boxes_xyxy[order])
        np.testing.assert_array_equal(after.labels, before.labels[order])
