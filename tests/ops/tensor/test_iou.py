from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.ops.tensor.iou import aligned_giou, aligned_iou, area

BOX = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20))


def _mask(box: tuple[int, int, int, int]) -> np.ndarray:
    canvas = np.zeros((40, 40), bool)
    x, y, width, height = box
    canvas[y : y + height, x : x + width] = True
    return canvas


def _xyxy(box: tuple[int, int, int, int]) -> torch.Tensor:
    x, y, width, height = box
    return torch.tensor([x, y, x + width, y + height], dtype=torch.float64)


@settings(deadline=None, max_examples=60)
@given(BOX, BOX)
def test_overlap_is_that_of_counted_pixels(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> None:
    a, b = _mask(first), _mask(second)
    union = (a | b).sum()
    both = np.argwhere(a | b)
    hull = np.prod(both.max(0) - both.min(0) + 1)
    iou, giou = aligned_giou(_xyxy(first), _xyxy(second))
    assert iou.item() == pytest.approx((a & b).sum() / union)
    assert giou.item() == pytest.approx((a & b).sum() / union - (hull - union) / hull)
    assert aligned_iou(_xyxy(first), _xyxy(second)).item() == pytest.approx(iou.item())


def test_leading_axes_are_broadcast() -> None:
    first, second = torch.rand(3, 1, 4), torch.rand(1, 5, 4)
    assert aligned_iou(first, second).shape == (3, 5)
    assert aligned_giou(first, second)[1].shape == (3, 5)


def test_area_of_boxes_turned_inside_out_is_zero() -> None:
    assert area(torch.tensor([[0.0, 0.0, 3.0, 2.0], [3.0, 0.0, 0.0, 2.0]])).tolist() == [6, 0]


def test_boxes_without_area_stay_finite() -> None:
    point = torch.tensor([[2.0, 2.0, 2.0, 2.0]])
    assert aligned_iou(point, point).tolist() == [0]
    assert aligned_giou(point, point)[1].isfinite().all()
