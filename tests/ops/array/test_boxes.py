from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sanderling.ops.array import boxes

Boxes = NDArray[np.float64]
some_boxes = st.integers(0, 5).flatmap(lambda count: arrays(np.float64, (count, 4), elements=st.integers(-20, 40)))


def pixels(box: NDArray[np.float64]) -> set[tuple[int, int]]:
    """A box with whole corners as the set of unit squares that it covers."""
    left, top, right, bottom = (int(value) for value in box)
    return {(x, y) for x in range(left, right) for y in range(top, bottom)}


@given(some_boxes)
def test_area_counts_unit_squares(given_boxes: Boxes) -> None:
    np.testing.assert_array_equal(boxes.area(given_boxes), [len(pixels(box)) for box in given_boxes])


@given(some_boxes, some_boxes)
def test_intersection_and_iou_count_unit_squares(first: Boxes, second: Boxes) -> None:
    shared = boxes.intersection(first, second)
    ious = boxes.iou(first, second)
    assert shared.shape == ious.shape == (len(first), len(second))
    for row, one in enumerate(first):
        for column, other in enumerate(second):
            both, either = pixels(one) & pixels(other), pixels(one) | pixels(other)
            assert shared[row, column] == len(both)
            assert ious[row, column] == (len(both) / len(either) if either else 0)


def test_intersection_of_inside_out_boxes_is_not_negative() -> None:
    upright, inside_out = np.array([[0.0, 0, 10, 10]]), np.array([[8.0, 8, 2, 2]])
    assert boxes.intersection(upright, inside_out) == 0
    assert boxes.iou(inside_out, inside_out) == 0


@given(some_boxes)
def test_corner_and_size_is_undone(given_boxes: Boxes) -> None:
    np.testing.assert_array_equal(boxes.xywh_to_xyxy(boxes.xyxy_to_xywh(given_boxes)), given_boxes)
    sides = boxes.xyxy_to_xywh(given_boxes)[:, 2:]
    np.testing.assert_array_equal(sides, given_boxes[:, 2:] - given_boxes[:, :2])


def test_clip_keeps_boxes_in_a_picture_that_is_not_square() -> None:
    cut = boxes.clip(np.array([[-5, -6, 30, 9], [3, 2, 4, 50], [100, 100, 120, 120]], np.float32), (11, 23))
    np.testing.assert_array_equal(cut, [[0, 0, 23, 9], [3, 2, 4, 11], [23, 11, 23, 11]])
    assert cut.dtype == np.float32
