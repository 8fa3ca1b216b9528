from __future__ import annotations

import statistics

import pytest
import torch
from torch import Tensor

from sanderling.objectives.assigners.atss import assign_atss
from sanderling.ops.tensor.points import grid_priors
from tests.support.assigned import BOXES_WITHOUT_A_POINT, owners, plain_iou
from tests.support.targets import random_targets, targets_of

SIZE_HW = (96, 160)
STRIDES = (8, 16, 32)


def _priors(size_hw: tuple[int, int] = SIZE_HW) -> tuple[Tensor, Tensor]:
    return grid_priors(size_hw, STRIDES, scale=5.0, device=torch.device("cpu"))


def _slow_assign(boxes: list[list[float]], size_hw: tuple[int, int], *, near: int = 9) -> dict[int, int]:
    """Point -> box for one picture, in loops and double precision."""
    levels, start = [], 0
    for stride in STRIDES:
        rows, columns = size_hw[0] // stride, size_hw[1] // stride
        centres = [((x + 0.5) * stride, (y + 0.5) * stride) for y in range(rows) for x in range(columns)]
        levels.append((start, stride, centres))
        start += len(centres)
    claims: dict[int, list[tuple[float, int]]] = {}
    for number, box in enumerate(boxes):
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        candidates = []
        for start, stride, centres in levels:
            by_distance = sorted(
                range(len(centres)),
                key=lambda point: (centres[point][0] - middle[0]) ** 2 + (centres[point][1] - middle[1]) ** 2,
            )
            for point in by_distance[:near]:
                x, y = centres[point]
                prior = [x - 2.5 * stride, y - 2.5 * stride, x + 2.5 * stride, y + 2.5 * stride]
                candidates.append((start + point, plain_iou(prior, box), x, y))
        overlaps = [candidate[1] for candidate in candidates]
        usual = statistics.mean(overlaps) + statistics.stdev(overlaps)
        for point, overlap, x, y in candidates:
            if overlap >= usual and min(x - box[0], y - box[1], box[2] - x, box[3] - y) > 0.01:
                claims.setdefault(point, []).append((-overlap, number))
    return {point: min(wanting)[1] for point, wanting in claims.items()}


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_slow_form(seed: int) -> None:
    targets = random_targets(seed, [6, 0, 11, 1], size_hw=SIZE_HW, classes=3)
    found = owners(assign_atss(targets, *_priors()), targets)
    for picture in range(targets.pictures):
        boxes = targets.of(picture).boxes_xyxy.double().tolist()
        assert found[picture] == _slow_assign(boxes, SIZE_HW)
    assert sum(map(len, found)) > 30


def test_levels_with_fewer_points_than_candidates_give_all_they_have() -> None:
    size_hw = (32, 64)  # the coarsest level has two points
    targets = random_targets(5, [4], size_hw=size_hw, classes=3)
    found = owners(assign_atss(targets, *_priors(size_hw)), targets)
    assert found == [_slow_assign(targets.boxes_xyxy.double().tolist(), size_hw)]


def test_a_picture_alone_is_as_in_the_batch() -> None:
    targets = random_targets(7, [5, 0, 9], size_hw=SIZE_HW, classes=3)
    together = owners(assign_atss(targets, *_priors()), targets)
    alone = [owners(assign_atss(targets.of(i), *_priors()), targets.of(i))[0] for i in range(targets.pictures)]
    assert together == alone


def test_order_is_by_picture_and_point() -> None:
    targets = random_targets(8, [4, 4], size_hw=SIZE_HW, classes=3)
    assigned = assign_atss(targets, *_priors())
    flat = assigned.pictures * 10_000 + assigned.points
    assert torch.equal(flat, flat.sort().values)
    assert flat.unique().numel() == flat.numel()
    assert torch.equal(targets.picture_index[assigned.boxes], assigned.pictures)


def test_without_boxes_everything_is_background() -> None:
    targets = random_targets(0, [0, 0], size_hw=SIZE_HW, classes=3)
    assigned = assign_atss(targets, *_priors())
    assert len(assigned.pictures) == len(assigned.points) == len(assigned.boxes) == 0


def test_a_point_in_two_boxes_goes_to_the_one_that_fits_its_prior_better() -> None:
    fits, loose = [20.0, 20.0, 60.0, 60.0], [18.0, 18.0, 66.0, 66.0]
    for boxes in ([fits, loose], [loose, fits]):
        targets = targets_of(boxes)
        assigned = assign_atss(targets, *_priors())
        contested = 4 * 20 + 4  # stride 8, centre (36, 36)
        owner = assigned.boxes[assigned.points == contested].tolist()
        assert owner == [boxes.index(fits)]


def test_duplicates_go_to_the_first() -> None:
    box = [30.0, 22.0, 71.0, 60.0]
    assigned = assign_atss(targets_of([box, box]), *_priors())
    assert len(assigned.boxes) > 0
    assert assigned.boxes.unique().tolist() == [0]


@pytest.mark.parametrize("box", BOXES_WITHOUT_A_POINT.values(), ids=BOXES_WITHOUT_A_POINT)
def test_a_box_that_holds_no_point_has_no_positives(box: list[float]) -> None:
    assert len(assign_atss(targets_of([box]), *_priors()).boxes) == 0


def test_a_box_smaller_than_a_cell_that_holds_a_point_has_one() -> None:
    assigned = assign_atss(targets_of([[18.0, 18.5, 21.0, 22.0]]), *_priors())
    assert assigned.points.tolist() == [2 * 20 + 2]


def test_fewer_candidates_give_fewer_positives() -> None:
    targets = random_targets(3, [8], size_hw=SIZE_HW, classes=3)
    few = assign_atss(targets, *_priors(), candidates_per_level=2)
    assert owners(few, targets) == [_slow_assign(targets.boxes_xyxy.double().tolist(), SIZE_HW, near=2)]
