from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sanderling.objectives.assigners.centre_sampling import assign_centre_sampling
from sanderling.ops.tensor.points import grid_priors
from sanderling.structures.batch import Targets
from tests.support.assigned import BOXES_WITHOUT_A_POINT, owners
from tests.support.targets import random_targets, targets_of

SIZE_HW, STRIDES = (160, 288), (8, 16, 32)


def _priors() -> tuple[Tensor, Tensor]:
    return grid_priors(SIZE_HW, STRIDES, scale=1.0, device=torch.device("cpu"))


def _slow_assign(boxes: list[list[float]], *, radius: float = 1.5, reach: float = 8.0) -> dict[int, int]:
    """Point -> box for one picture, in loops."""
    owners: dict[int, int] = {}
    start = 0
    for stride in STRIDES:
        rows, columns = SIZE_HW[0] // stride, SIZE_HW[1] // stride
        for cell in range(rows * columns):
            x, y = (cell % columns + 0.5) * stride, (cell // columns + 0.5) * stride
            wanting = []
            for number, (x1, y1, x2, y2) in enumerate(boxes):
                sides = (x - x1, y - y1, x2 - x, y2 - y)
                away = max(abs(x - (x1 + x2) / 2), abs(y - (y1 + y2) / 2))
                low = 0 if stride == STRIDES[0] else reach * stride / 2
                high = float("inf") if stride == STRIDES[-1] else reach * stride
                if min(sides) > 0 and away < radius * stride and low < max(sides) <= high:
                    wanting.append(((x2 - x1) * (y2 - y1), number))
            if wanting:
                owners[start + cell] = min(wanting)[1]
        start += rows * columns
    return owners


def _as_dicts(targets: Targets, **choice: float) -> list[dict[int, int]]:
    priors, strides = _priors()
    return owners(assign_centre_sampling(targets, priors, strides, **choice), targets)


@pytest.mark.parametrize("choice", [{}, {"radius": 2.5}, {"reach": 4.0}])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_slow_form(seed: int, choice: dict[str, float]) -> None:
    targets = random_targets(seed, [6, 0, 11, 1], size_hw=SIZE_HW, classes=3, largest=0.9)
    found = _as_dicts(targets, **choice)
    for picture in range(targets.pictures):
        assert found[picture] == _slow_assign(targets.of(picture).boxes_xyxy.tolist(), **choice)
    assert sum(map(len, found)) > 40


def test_each_level_learns_boxes_of_its_own_size() -> None:
    levels = []
    for side in (40.0, 160.0, 280.0):
        box = [4.0, 4.0, 4 + side, 4 + min(side, 150)]
        assigned = assign_centre_sampling(targets_of([box]), *_priors())
        levels.append(_priors()[1][assigned.points].unique().tolist())
    assert levels == [[8], [16], [32]]


def test_a_point_that_two_boxes_want_goes_to_the_smaller_and_then_to_the_first() -> None:
    large, small = [20.0, 20.0, 76.0, 76.0], [32.0, 32.0, 64.0, 64.0]
    for boxes in ([large, small], [small, large]):
        owners = _as_dicts(targets_of(boxes))[0]
        assert set(owners.values()) == {boxes.index(small)}
    assert set(_as_dicts(targets_of([small, small]))[0].values()) == {0}


@pytest.mark.parametrize("box", BOXES_WITHOUT_A_POINT.values(), ids=BOXES_WITHOUT_A_POINT)
def test_a_box_that_holds_no_point_has_no_positives(box: list[float]) -> None:
    assert _as_dicts(targets_of([box])) == [{}]


def test_without_boxes_everything_is_background() -> None:
    targets = random_targets(0, [0, 0], size_hw=SIZE_HW, classes=3)
    assert _as_dicts(targets) == [{}, {}]
