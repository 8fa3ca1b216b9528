from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sanderling.objectives.assigners.max_iou import assign_max_iou
from sanderling.ops.tensor.ssd_anchors import ssd_anchors, ssd_priors
from sanderling.structures.batch import Targets
from tests.support.assigned import owners, plain_iou
from tests.support.targets import random_targets, targets_of

SIZE_HW = (96, 160)


def _priors() -> Tensor:
    anchors = ssd_anchors(3, smallest=0.2, largest=0.95, ratios=(1.0, 2.0, 0.5))
    return ssd_priors(SIZE_HW, [(6, 10), (3, 5), (2, 3)], anchors, device=torch.device("cpu"))


def _iou(box: list[float], prior: list[float]) -> float:
    x, y, width, height = prior
    return plain_iou(box, (x - width / 2, y - height / 2, x + width / 2, y + height / 2))


def _slow_assign(boxes: list[list[float]], priors: list[list[float]], threshold: float) -> dict[int, int]:
    """Point -> box for one picture, in loops."""
    owners: dict[int, int] = {}
    for point, prior in enumerate(priors):
        overlaps = [_iou(box, prior) for box in boxes]
        if overlaps and max(overlaps) >= threshold:
            owners[point] = overlaps.index(max(overlaps))
    for number in reversed(range(len(boxes))):
        overlaps = [_iou(boxes[number], prior) for prior in priors]
        if max(overlaps) > 0:
            owners[overlaps.index(max(overlaps))] = number
    return owners


def _as_dicts(targets: Targets, priors: Tensor, threshold: float = 0.5) -> list[dict[int, int]]:
    return owners(assign_max_iou(targets, priors, threshold=threshold), targets)


@pytest.mark.parametrize("threshold", [0.3, 0.45])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_slow_form(seed: int, threshold: float) -> None:
    # In double precision, so that no two overlaps are nearly the same by rounding only.
    targets = random_targets(seed, [15, 0, 25, 1], size_hw=SIZE_HW, classes=3)
    targets = Targets(
        boxes_xyxy=targets.boxes_xyxy.double(),
        labels=targets.labels,
        weights=targets.weights,
        picture_index=targets.picture_index,
        pictures=targets.pictures,
    )
    priors = _priors().double()
    found = _as_dicts(targets, priors, threshold)
    for picture in range(targets.pictures):
        boxes = targets.of(picture).boxes_xyxy.tolist()
        assert found[picture] == _slow_assign(boxes, priors.tolist(), threshold)
    assert sum(map(len, found)) != 41, "no more than one prior for each box"


PRIORS = torch.tensor([[10.0, 10, 20, 20], [40, 10, 20, 20], [40, 10, 40, 40]])


def test_every_box_has_a_prior_however_little_they_overlap() -> None:
    assert _as_dicts(targets_of([[0, 0, 2, 2]]), PRIORS) == [{0: 0}]


def test_a_prior_goes_to_the_box_that_needs_it_even_from_one_that_fits_better() -> None:
    fits, small = [30.0, 0, 50, 20], [38.0, 8, 42, 12]
    # Both have their best in prior 1; the first has it and the second is left with nothing else.
    assert _as_dicts(targets_of([fits, small]), PRIORS) == [{1: 0}]
    assert _as_dicts(targets_of([small, fits]), PRIORS) == [{1: 0}]


def test_exactly_half_is_enough() -> None:
    box = [0.0, 0, 20, 10]
    priors = torch.tensor([[10.0, 5, 20, 10], [10, 10, 20, 20], [10, 10.5, 20, 21]])
    assert _as_dicts(targets_of([box]), priors) == [{0: 0, 1: 0}]


@pytest.mark.parametrize("box", [[200.0, 200, 240, 240], [10, 10, 10, 20]])
def test_a_box_that_no_prior_touches_has_none(box: list[float]) -> None:
    assert _as_dicts(targets_of([box]), PRIORS) == [{}]


def test_without_boxes_everything_is_background() -> None:
    assigned = assign_max_iou(random_targets(0, [0, 0], size_hw=SIZE_HW, classes=3), _priors())
    assert len(assigned.pictures) == len(assigned.points) == len(assigned.boxes) == 0
    assert assigned.boxes.dtype == torch.int64
