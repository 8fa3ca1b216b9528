from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from sanderling.objectives.assigners import best_anchor as module
from sanderling.objectives.assigners.best_anchor import AnchorAssignment, assign_best_anchor, overlaps_a_target
from sanderling.ops.tensor.points import anchor_priors
from sanderling.structures.batch import Targets
from tests.support.assigned import plain_iou
from tests.support.targets import random_targets, targets_of

SIZE_HW = (96, 160)
STRIDES = (8, 16, 32)
ANCHORS = (((10.0, 13.0), (16.0, 30.0), (33.0, 23.0)), ((30.0, 61.0), (62.0, 45.0)), ((100.0, 80.0),))
"""Another number of anchors on each level."""


def _priors(
    size_hw: tuple[int, int] = SIZE_HW, anchors: tuple[tuple[tuple[float, float], ...], ...] = ANCHORS
) -> tuple[Tensor, Tensor]:
    return anchor_priors(size_hw, STRIDES[: len(anchors)], anchors, device=torch.device("cpu"))


def _assign(targets: Targets, *, iou_threshold: float | None = None) -> AnchorAssignment:
    return assign_best_anchor(targets, *_priors(), SIZE_HW, iou_threshold=iou_threshold)


def _shape_iou(width: float, height: float, anchor: tuple[float, float]) -> float:
    shared = min(width, anchor[0]) * min(height, anchor[1])
    return shared / (width * height + anchor[0] * anchor[1] - shared)


def _slow_claims(boxes: list[list[float]], *, iou_threshold: float | None = None) -> dict[int, tuple[int, set[int]]]:
    """Point -> its box and all boxes that claim it, for one picture, box after box as PaddleDetection goes."""
    claims: dict[int, tuple[int, set[int]]] = {}
    for number, (x1, y1, x2, y2) in enumerate(boxes):
        overlaps = [_shape_iou(x2 - x1, y2 - y1, anchor) for level in ANCHORS for anchor in level]
        start, index = 0, 0
        for stride, level in zip(STRIDES, ANCHORS, strict=True):
            columns, rows = SIZE_HW[1] // stride, SIZE_HW[0] // stride
            cell = int((y1 + y2) / 2 / stride) * columns + int((x1 + x2) / 2 / stride)
            for anchor in range(len(level)):
                point = start + cell * len(level) + anchor
                near = iou_threshold is not None and overlaps[index] > iou_threshold
                if overlaps[index] == max(overlaps) or (near and point not in claims):
                    claims[point] = (number, claims.get(point, (0, set()))[1] | {number})
                index += 1
            start += columns * rows * len(level)
    return claims


def _claims(assigned: AnchorAssignment, picture: int, *, first: int) -> dict[int, tuple[int, set[int]]]:
    claims: dict[int, tuple[int, set[int]]] = {}
    rows = zip(assigned.pictures.tolist(), assigned.points.tolist(), assigned.boxes.tolist(), strict=True)
    for row, (of_picture, point, box) in enumerate(rows):
        if of_picture == picture:
            claims[point] = (box - first, set((assigned.claimants[assigned.claimed == row] - first).tolist()))
    return claims


@pytest.mark.parametrize("iou_threshold", [None, 0.25])
def test_agrees_with_the_slow_form(iou_threshold: float | None) -> None:
    targets = random_targets(1, [40, 0, 1, 60], size_hw=SIZE_HW, classes=3)
    assigned = _assign(targets, iou_threshold=iou_threshold)
    shared = 0
    for picture in range(targets.pictures):
        first = int((targets.picture_index < picture).sum())
        expected = _slow_claims(targets.of(picture).boxes_xyxy.tolist(), iou_threshold=iou_threshold)
        assert _claims(assigned, picture, first=first) == expected
        assert assigned.points[assigned.pictures == picture].tolist() == sorted(expected)
        shared += sum(len(claimants) > 1 for _, claimants in expected.values())
    assert shared > 0  # else nothing of what is tested happened
    assert assigned.pictures.tolist() == sorted(assigned.pictures.tolist())


def test_a_box_worked_out_by_hand() -> None:
    # 60 x 50 is nearest to 62 x 45 (0.87), stride 16; its centre (75, 45) lies in column 4, row 2 of 10 columns.
    assigned = _assign(targets_of([[45.0, 20.0, 105.0, 70.0]]))
    before = 12 * 20 * 3
    assert assigned.points.tolist() == [before + (2 * 10 + 4) * 2 + 1]
    priors, strides = _priors()
    assert priors[assigned.points].tolist() == [[72.0, 40.0, 62.0, 45.0]]
    assert strides[assigned.points].tolist() == [16.0]


def test_an_anchor_that_stands_in_two_levels_is_claimed_in_both() -> None:
    anchors = (((10.0, 10.0), (40.0, 40.0)), ((40.0, 40.0), (90.0, 90.0)))
    targets = targets_of([[20.0, 20.0, 61.0, 61.0]])
    assigned = assign_best_anchor(targets, *_priors(anchors=anchors), SIZE_HW)
    assert assigned.points.tolist() == [(5 * 20 + 5) * 2 + 1, 12 * 20 * 2 + (2 * 10 + 2) * 2]
    assert assigned.boxes.tolist() == [0, 0]


def test_two_boxes_on_one_point_the_later_has_it_and_both_are_named() -> None:
    box = [30.0, 22.0, 71.0, 60.0]
    assigned = _assign(targets_of([box, box], labels=[0, 1]))
    assert assigned.boxes.tolist() == [1]
    assert assigned.claimed.tolist() == [0, 0]
    assert sorted(assigned.claimants.tolist()) == [0, 1]


def test_an_anchor_that_is_not_the_best_is_left_to_the_box_whose_best_it_is() -> None:
    fits, other = [40.0, 10.0, 102.0, 55.0], [31.0, 2.0, 111.0, 63.0]  # 62 x 45 and 80 x 61 around one centre
    point = 12 * 20 * 3 + (2 * 10 + 4) * 2 + 1
    for boxes in ([fits, other], [other, fits]):
        assigned = _assign(targets_of(boxes), iou_threshold=0.25)
        assert assigned.boxes[assigned.points == point].tolist() == [boxes.index(fits)]
        claimants = assigned.claimants[assigned.claimed == int((assigned.points == point).nonzero())]
        # The other one is heard there only if it came first.
        assert sorted(claimants.tolist()) == ([0] if boxes[0] == fits else [0, 1])


@pytest.mark.parametrize(
    "box",
    [
        [50.0, 40.0, 50.0, 60.0],  # no width
        [150.0, 40.0, 190.0, 60.0],  # its centre lies right of the picture
        [20.0, -30.0, 40.0, 10.0],  # above it
    ],
)
def test_a_box_without_size_or_with_its_centre_outside_claims_nothing(box: list[float]) -> None:
    assigned = _assign(targets_of([box, [20.0, 20.0, 40.0, 40.0]]))
    assert assigned.boxes.tolist() == [1]


def test_a_box_without_weight_claims_nothing() -> None:
    targets = targets_of([[20.0, 20.0, 40.0, 40.0], [60.0, 20.0, 80.0, 40.0]])
    weighed = dataclasses.replace(targets, weights=torch.tensor([0.0, 0.5]))
    assert _assign(weighed).boxes.tolist() == [1]


def test_without_boxes_there_are_no_positives() -> None:
    assigned = _assign(random_targets(0, [0, 0], size_hw=SIZE_HW, classes=3), iou_threshold=0.25)
    assert len(assigned.points) == len(assigned.boxes) == len(assigned.claimed) == 0


def test_a_picture_alone_is_as_in_the_batch() -> None:
    targets = random_targets(3, [7, 0, 12], size_hw=SIZE_HW, classes=3)
    together = _assign(targets)
    for picture in range(3):
        alone = _assign(targets.of(picture))
        mine = together.pictures == picture
        assert torch.equal(alone.points, together.points[mine])
        first = int((targets.picture_index < picture).sum())
        assert torch.equal(alone.boxes + first, together.boxes[mine])


@pytest.mark.parametrize("pairs_at_once", [1, 300, 1 << 22])
def test_overlaps_are_those_with_boxes_of_the_same_picture(pairs_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAIRS_AT_ONCE", pairs_at_once)
    targets = random_targets(4, [5, 0, 3], size_hw=SIZE_HW, classes=3)
    boxes = random_targets(5, [50] * 3, size_hw=SIZE_HW, classes=3).boxes_xyxy.view(3, 50, 4)
    found = overlaps_a_target(boxes, targets, above=0.3)
    expected = [
        [any(plain_iou(box, other) > 0.3 for other in targets.of(picture).boxes_xyxy.tolist()) for box in of_picture]
        for picture, of_picture in enumerate(boxes.tolist())
    ]
    assert found.tolist() == expected
    assert found[0].any()
    assert not found[1].any()


def test_a_box_that_is_not_finite_overlaps_nothing() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 40.0, 40.0], [float("-inf"), 0.0, float("inf"), 40.0]]])
    assert overlaps_a_target(boxes, targets_of([[0.0, 0.0, 40.0, 40.0]]), above=0.5).tolist() == [[True, False]]
