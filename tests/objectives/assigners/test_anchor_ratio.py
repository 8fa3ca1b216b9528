from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from sanderling.objectives.assigners.anchor_ratio import assign_anchor_ratio
from sanderling.ops.tensor.points import anchor_priors
from sanderling.structures.batch import Targets
from tests.support.targets import random_targets, targets_of

SIZE_HW = (96, 160)
STRIDES = (8, 16, 32)
ANCHORS = (((10.0, 13.0), (16.0, 30.0)), ((30.0, 61.0), (62.0, 45.0)), ((116.0, 90.0), (156.0, 198.0)))


def _priors(size_hw: tuple[int, int] = SIZE_HW) -> tuple[Tensor, Tensor]:
    return anchor_priors(size_hw, STRIDES, ANCHORS, device=torch.device("cpu"))


def _assigned(targets: Targets, *, size_hw: tuple[int, int] = SIZE_HW, ratio: float = 4.0) -> set[tuple[int, int, int]]:
    """(picture, point, box) of every positive; each is there once."""
    priors, strides = _priors(size_hw)
    found = assign_anchor_ratio(targets, priors, strides, size_hw=size_hw, largest_ratio=ratio)
    triples = list(zip(found.pictures.tolist(), found.points.tolist(), found.boxes.tolist(), strict=True))
    assert triples == sorted(triples)
    assert len(set(triples)) == len(triples)
    return set(triples)


def _slow(targets: Targets, size_hw: tuple[int, int]) -> set[tuple[int, int, int]]:
    """The rule in loops: every cell whose centre lies less than a whole cell away along one axis only."""
    found = set()
    for number, box in enumerate(targets.boxes_xyxy.tolist()):
        width, height = box[2] - box[0], box[3] - box[1]
        start = 0
        for stride, anchors in zip(STRIDES, ANCHORS, strict=True):
            rows, columns = size_hw[0] // stride, size_hw[1] // stride
            x, y = (box[0] + box[2]) / 2 / stride, (box[1] + box[3]) / 2 / stride
            for row in range(rows):
                for column in range(columns):
                    beside_x, beside_y = abs(column + 0.5 - x), abs(row + 0.5 - y)
                    here = beside_x <= 0.5 and beside_y <= 0.5
                    neighbour = min(beside_x, beside_y) <= 0.5 and 0.5 < max(beside_x, beside_y) < 1
                    for index, (w, h) in enumerate(anchors):
                        alike = max(width / w, w / width, height / h, h / height) < 4
                        if alike and (here or neighbour):
                            point = start + (row * columns + column) * len(anchors) + index
                            found.add((int(targets.picture_index[number]), point, number))
            start += rows * columns * len(anchors)
    return found


@pytest.mark.parametrize("size_hw", [(96, 160), (160, 32)])
@pytest.mark.parametrize("counts", [[9, 0, 6], [1]])
def test_it_agrees_with_the_slow_form(counts: list[int], size_hw: tuple[int, int]) -> None:
    targets = random_targets(3, counts, size_hw=size_hw, classes=2, largest=0.9)
    expected = _slow(targets, size_hw)
    assert expected
    assert _assigned(targets, size_hw=size_hw) == expected


def test_the_cell_of_the_centre_and_the_nearer_neighbour_along_each_axis() -> None:
    # Centre (42, 29): in cells of 8 pixels column 5.25, row 3.625; only the first anchor of stride 8 resembles 6x8.
    found = _assigned(targets_of([[39, 25, 45, 33]]), ratio=1.7)
    columns = SIZE_HW[1] // 8
    assert {point for _, point, _ in found} == {(3 * columns + 5) * 2, (3 * columns + 4) * 2, (4 * columns + 5) * 2}


def test_neighbours_outside_the_picture_are_left_out() -> None:
    # Centre (2, 2): both nearer neighbours of the first cell lie outside.
    assert _assigned(targets_of([[-3, -4, 7, 8]]), ratio=1.7) == {(0, 0, 0)}


def test_a_centre_on_the_far_border_belongs_to_the_last_cell() -> None:
    height, width = SIZE_HW
    found = _assigned(targets_of([[width - 5, height - 6, width + 5, height + 6]]), ratio=1.7)
    last = (height // 8) * (width // 8) - 1
    assert {point for _, point, _ in found} == {last * 2}


def test_a_box_like_no_anchor_has_no_positives() -> None:
    assert _assigned(targets_of([[0, 40, 159, 42], [10, 10, 10, 30]])) == set()


def test_a_point_that_two_boxes_want_is_there_for_both() -> None:
    box = [30.0, 30.0, 42.0, 44.0]
    found = _assigned(targets_of([box, box]))
    assert found
    assert {(point, 0) for _, point, owner in found if owner == 0} == {
        (point, 0) for _, point, owner in found if owner == 1
    }


def test_a_picture_in_a_batch_is_treated_as_alone() -> None:
    targets = random_targets(5, [4, 7], size_hw=SIZE_HW, classes=2)
    together = _assigned(targets)
    for picture, first in ((0, 0), (1, 4)):
        alone = {(picture, point, box + first) for _, point, box in _assigned(targets.of(picture))}
        assert alone == {triple for triple in together if triple[0] == picture}


def test_without_boxes_there_is_nothing() -> None:
    targets = random_targets(0, [0, 0], size_hw=SIZE_HW, classes=2)
    assert _assigned(dataclasses.replace(targets, pictures=2)) == set()
