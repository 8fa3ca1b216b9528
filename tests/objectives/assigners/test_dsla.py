from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sanderling.objectives.assigners.dsla import assign_dsla
from sanderling.ops.tensor.points import grid_priors
from sanderling.structures.batch import Targets
from tests.support.assigned import BOXES_WITHOUT_A_POINT, plain_iou
from tests.support.targets import random_targets, targets_of

SIZE_HW = (96, 160)
CLASSES = 3
PRIORS, STRIDES = grid_priors(SIZE_HW, (8, 16, 32), scale=1.0, offset=0.0, device=torch.device("cpu"))


def _predicted(pictures: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Class logits and boxes around the points, of all sizes."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(pictures, len(PRIORS), CLASSES, generator=draw) * 2 - 2
    sides = torch.rand(pictures, len(PRIORS), 4, generator=draw) ** 2 * 60
    centres = PRIORS[:, :2]
    return logits, torch.cat((centres - sides[..., :2], centres + sides[..., 2:]), -1)


def _slow_assign(targets: Targets, logits: Tensor, boxes: Tensor) -> dict[int, tuple[int, float]]:
    """Point -> box and IoU for one picture, in loops and double precision."""
    wanted, labels = targets.boxes_xyxy.double().tolist(), targets.labels.tolist()
    centres = [(x, y) for x, y, _, _ in PRIORS.double().tolist()]
    inside = [
        [point for point, (x, y) in enumerate(centres) if box[0] < x < box[2] and box[1] < y < box[3]] for box in wanted
    ]
    candidates = sorted({point for points in inside for point in points})
    cost: dict[tuple[int, int], float] = {}
    overlap: dict[tuple[int, int], float] = {}
    for number, box in enumerate(wanted):
        if not inside[number]:
            continue
        for point in candidates:
            overlap[number, point] = plain_iou(boxes[point].double().tolist(), box)
            total = 3 * -math.log(overlap[number, point] + 1e-7)
            for label, logit in enumerate(logits[point].double().tolist()):
                score = 1 / (1 + math.exp(-logit))
                soft = overlap[number, point] if label == labels[number] else 0.0
                entropy = -soft * math.log(score) - (1 - soft) * math.log(1 - score)
                total += entropy * (soft - score) ** 2
            cost[number, point] = total
    claims: dict[int, list[int]] = {}
    taking_part = [number for number in range(len(wanted)) if inside[number]]
    for number in taking_part:
        best = sorted((overlap[number, point] for point in candidates), reverse=True)[:13]
        for point in sorted(candidates, key=lambda point: cost[number, point])[: max(1, int(sum(best)))]:
            claims.setdefault(point, []).append(number)
    owners = {
        point: boxes_[0] if len(boxes_) == 1 else min(taking_part, key=lambda number: cost[number, point])
        for point, boxes_ in claims.items()
    }
    return {point: (number, overlap[number, point]) for point, number in owners.items()}


def _found(targets: Targets, logits: Tensor, boxes: Tensor) -> list[dict[int, tuple[int, float]]]:
    assigned, quality = assign_dsla(targets, PRIORS, logits, boxes)
    found: list[dict[int, tuple[int, float]]] = [{} for _ in range(targets.pictures)]
    first = [int((targets.picture_index < picture).sum()) for picture in range(targets.pictures)]
    for picture, point, box, overlap in zip(
        assigned.pictures.tolist(), assigned.points.tolist(), assigned.boxes.tolist(), quality.tolist(), strict=True
    ):
        found[picture][point] = (box - first[picture], pytest.approx(overlap, abs=1e-5))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_slow_form(seed: int) -> None:
    targets = random_targets(seed, [6, 0, 12, 1], size_hw=SIZE_HW, classes=CLASSES)
    logits, boxes = _predicted(4, seed=seed)
    found = _found(targets, logits, boxes)
    for picture in range(targets.pictures):
        assert found[picture] == _slow_assign(targets.of(picture), logits[picture], boxes[picture])
    assert sum(map(len, found)) > 20


def test_a_picture_alone_is_as_in_the_batch() -> None:
    targets = random_targets(7, [5, 0, 9], size_hw=SIZE_HW, classes=CLASSES)
    logits, boxes = _predicted(3)
    alone = [_found(targets.of(i), logits[i : i + 1], boxes[i : i + 1])[0] for i in range(3)]
    assert _found(targets, logits, boxes) == alone


def test_a_perfect_prediction_everywhere_gives_as_many_points_as_overlaps_are_summed() -> None:
    targets = targets_of([[10.0, 10.0, 90.0, 80.0]])
    logits, _ = _predicted(1)
    perfect = targets.boxes_xyxy.expand(1, len(PRIORS), 4)
    assigned, quality = assign_dsla(targets, PRIORS, logits, perfect)
    assert len(assigned.points) == 13
    assert quality.tolist() == pytest.approx([1.0] * 13)
    assert len(assign_dsla(targets, PRIORS, logits, perfect, best_overlaps=4)[0].points) == 4


def test_of_equal_boxes_the_surer_class_is_cheaper() -> None:
    targets = targets_of([[10.0, 10.0, 60.0, 60.0]], labels=[2])
    logits = torch.full((1, len(PRIORS), CLASSES), -4.0)
    sure = 3 * 20 + 3  # stride 8, at (24, 24)
    logits[0, sure, 2] = 0.0
    perfect = targets.boxes_xyxy.expand(1, len(PRIORS), 4)
    assigned, _ = assign_dsla(targets, PRIORS, logits, perfect, best_overlaps=1)
    assert assigned.points.tolist() == [sure]


def test_a_box_without_overlap_anywhere_gets_one_point() -> None:
    targets = targets_of([[10.0, 10.0, 60.0, 60.0]])
    logits, _ = _predicted(1)
    nowhere = torch.tensor([100.0, 0.0, 110.0, 5.0]).expand(1, len(PRIORS), 4)
    assigned, quality = assign_dsla(targets, PRIORS, logits, nowhere)
    assert len(assigned.points) == 1
    assert quality.tolist() == [0]


@pytest.mark.parametrize("small", BOXES_WITHOUT_A_POINT.values(), ids=BOXES_WITHOUT_A_POINT)
def test_a_box_that_holds_no_point_takes_none_from_another_object(small: list[float]) -> None:
    logits, boxes = _predicted(1)
    large = [5.0, 5.0, 120.0, 90.0]
    assigned, _ = assign_dsla(targets_of([small, large]), PRIORS, logits, boxes)
    assert assigned.boxes.unique().tolist() == [1]
    assert len(assign_dsla(targets_of([small]), PRIORS, logits, boxes)[0].boxes) == 0


def test_duplicates_go_to_the_first() -> None:
    box = [30.0, 22.0, 71.0, 60.0]
    assigned, _ = assign_dsla(targets_of([box, box]), PRIORS, *_predicted(1))
    assert len(assigned.boxes) > 0
    assert assigned.boxes.unique().tolist() == [0]


def test_without_boxes_everything_is_background() -> None:
    targets = random_targets(0, [0, 0], size_hw=SIZE_HW, classes=CLASSES)
    assigned, quality = assign_dsla(targets, PRIORS, *_predicted(2))
    assert len(assigned.pictures) == len(assigned.points) == len(assigned.boxes) == len(quality) == 0
