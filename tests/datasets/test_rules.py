from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.datasets.rules import RULES, BoxForm, class_rule, duplicate_boxes, found, judge

HEIGHT, WIDTH = 48, 64
FORMS: tuple[BoxForm, ...] = ("xywh", "xyxy", "fractions")


def judge_one(box: Any, form: BoxForm, *, area: float = math.nan, size_hw: tuple[int, int] = (HEIGHT, WIDTH)) -> str:
    result = judge(np.array([box], np.float64), form, np.array([size_hw], np.int32), np.array([area]))
    return str(result.rules[0])


def written(box_xyxy: tuple[float, float, float, float], form: BoxForm) -> list[float]:
    left, top, right, bottom = box_xyxy
    if form == "xyxy":
        return [left, top, right, bottom]
    if form == "xywh":
        return [left, top, right - left, bottom - top]
    centre = [(left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT]
    return [*centre, (right - left) / WIDTH, (bottom - top) / HEIGHT]


@st.composite
def boxes_inside(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """Boxes of at least two pixels a side, wholly inside."""
    left = draw(st.floats(0, WIDTH - 2))
    top = draw(st.floats(0, HEIGHT - 2))
    return left, top, draw(st.floats(left + 2, WIDTH)), draw(st.floats(top + 2, HEIGHT))


@given(boxes_inside(), st.sampled_from(FORMS))
def test_a_good_box_is_kept_where_it_is(box: tuple[float, float, float, float], form: BoxForm) -> None:
    values = np.array([written(box, form)])
    area = (box[2] - box[0]) * (box[3] - box[1])
    result = judge(values, form, np.array([[HEIGHT, WIDTH]], np.int32), np.array([area]))
    assert result.rules.tolist() == [""]
    assert result.kept.all()
    assert np.allclose(result.boxes_xyxy, [box], rtol=0, atol=1e-9)


@given(
    st.lists(st.lists(st.floats(), min_size=4, max_size=4), max_size=8),
    st.sampled_from(FORMS),
    st.sampled_from([(HEIGHT, WIDTH), (0, 0), (1, 1)]),
)
def test_whatever_is_written_what_is_kept_can_be_used(
    rows: list[list[float]], form: BoxForm, size_hw: tuple[int, int]
) -> None:
    values = np.array(rows, np.float64).reshape(-1, 4)
    result = judge(values, form, np.tile(np.array(size_hw, np.int32), (len(rows), 1)), np.full(len(rows), np.nan))
    kept = result.boxes_xyxy[result.kept]
    assert np.isfinite(kept).all()
    if size_hw != (0, 0):
        assert (kept >= 0).all()
        assert (kept <= [size_hw[1], size_hw[0]] * 2).all()
    assert (kept[:, 2:] >= kept[:, :2]).all()
    assert (result.kept == [rule in ("", "box-partly-outside") for rule in result.rules.tolist()]).all()


@given(st.lists(boxes_inside(), min_size=1, max_size=12))
def test_duplicates_as_a_slow_count_finds_them(boxes: list[tuple[float, float, float, float]]) -> None:
    boxes = boxes + boxes[::2]
    labels = [index % 2 for index in range(len(boxes))]
    seen: set[Any] = set()
    wanted = []
    for key in zip(labels, boxes, strict=True):
        wanted.append(key in seen)
        seen.add(key)
    values, places = np.array(boxes), np.zeros(len(boxes), np.int64)
    assert duplicate_boxes(places, np.array(labels, np.int64), values).tolist() == wanted


@pytest.mark.parametrize(
    ("form", "box", "rule"),
    [
        ("xywh", [math.nan, 1, 2, 3], "box-not-finite"),
        ("xyxy", [1, 1, 2, -math.inf], "box-not-finite"),
        ("xywh", [10, 10, -4, 5], "box-negative-size"),
        ("xyxy", [30, 10, 20, 15], "box-negative-size"),
        ("fractions", [0.5, 0.5, 0.1, -0.1], "box-negative-size"),
        ("xywh", [10, 10, 4, 0], "box-zero-area"),
        ("xyxy", [10, 10, 10, 20], "box-zero-area"),
        ("fractions", [0.5, 0.5, 0, 0.1], "box-zero-area"),
        ("xywh", [64, 10, 4, 4], "box-outside"),
        ("xywh", [-9, -9, 4, 4], "box-outside"),
        ("fractions", [1.5, 0.5, 0.2, 0.2], "box-outside"),
        ("fractions", [32, 24, 10, 10], "box-in-pixels"),
        ("xywh", [0.1, 0.2, 0.3, 0.4], "box-normalised"),
        ("xyxy", [0.1, 0.2, 0.3, 0.4], "box-normalised"),
        ("xywh", [20, 20, 60, 44], "box-corners"),
        ("fractions", [0.7, 0.7, 0.95, 0.95], "box-corners"),
        ("xywh", [60, 10, 8, 10], "box-partly-outside"),
        ("xyxy", [-3, 10, 8, 20], "box-partly-outside"),
        ("fractions", [0.05, 0.5, 0.2, 0.2], "box-partly-outside"),
        ("xywh", [40, 30, 24.4, 18.4], ""),
        ("xywh", [0, 0, 1, 1], ""),
        ("xywh", [0, 0, 64, 48], ""),
        ("fractions", [0.5, 0.5, 1, 1], ""),
    ],
)
def test_rule_of_a_single_box(form: BoxForm, box: list[float], rule: str) -> None:
    assert judge_one(box, form) == rule


def test_stated_area_tells_corners_from_sizes() -> None:
    assert judge_one([10, 10, 30, 20], "xywh", area=20 * 10) == "box-corners"
    assert judge_one([10, 10, 30, 20], "xywh", area=30 * 20) == ""
    assert judge_one([10, 10, 30, 20], "xywh", area=123.0) == ""


def test_a_whole_file_of_corners_is_told_from_its_boxes_that_leave() -> None:
    boxes = np.array([[5, 5, 20, 20], [1, 2, 9, 9], [8, 8, 12, 14], [30, 20, 40, 32], [40, 30, 60, 44]], np.float64)
    result = judge(boxes, "xywh", np.tile(np.array([HEIGHT, WIDTH], np.int32), (5, 1)), np.full(5, np.nan))
    assert result.rules.tolist() == ["box-corners"] * 5


def test_a_box_of_ones_among_fractions_is_a_fraction() -> None:
    boxes = np.array([[0, 0, 1, 1], [0.1, 0.1, 0.5, 0.5], [0.2, 0.2, 0.4, 0.4]])
    result = judge(boxes, "xywh", np.tile(np.array([HEIGHT, WIDTH], np.int32), (3, 1)), np.full(3, np.nan))
    assert result.rules.tolist() == ["box-normalised"] * 3


def test_nothing_is_outside_a_picture_of_unknown_size() -> None:
    assert judge_one([500, 500, 90, 90], "xywh", size_hw=(0, 0)) == ""


def test_partly_outside_is_clipped() -> None:
    values = np.array([[60.0, 40.0, 20.0, 20.0]])
    result = judge(values, "xywh", np.array([[HEIGHT, WIDTH]], np.int32), np.array([np.nan]))
    assert result.boxes_xyxy.tolist() == [[60, 40, 64, 48]]


def test_no_boxes() -> None:
    result = judge(np.zeros((0, 4)), "xyxy", np.zeros((0, 2), np.int32), np.zeros(0))
    assert (result.boxes_xyxy.shape, result.rules.shape, result.kept.shape) == ((0, 4), (0,), (0,))


@pytest.mark.parametrize(
    ("number", "rule"),
    [(1.5, "class-fractional"), (99, "class-out-of-range"), (2.0, "class-out-of-range"), (-1, "class-out-of-range")],
)
def test_rule_of_a_class_number(number: float, rule: str) -> None:
    assert class_rule(number) == rule
    assert class_rule(math.nan) == "class-out-of-range"


def test_values_that_json_cannot_hold_become_text() -> None:
    assert found("box-not-finite", file="a", item="b", field="c", value=math.inf).value == "inf"


def test_what_is_skipped_is_an_error_and_every_rule_has_a_remedy() -> None:
    for name, rule in RULES.items():
        assert rule.remedy, name
        assert rule.severity == "error" or not rule.skips, name
