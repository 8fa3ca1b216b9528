from __future__ import annotations

import dataclasses

import pytest
import torch

from sanderling import config
from sanderling.errors import ModelError
from sanderling.objectives.assigners.centre_sampling import assign_centre_sampling
from sanderling.objectives.fcos import FcosObjectiveConfig
from sanderling.ops.tensor.coding import DistanceCoding
from sanderling.ops.tensor.points import grid_priors
from sanderling.structures.batch import Targets
from sanderling.structures.predictions import Predictions
from tests.support.objectives import (
    Losses,
    gradients,
    leaves,
    require_full_precision_under_autocast,
    require_same_losses,
)
from tests.support.targets import random_targets, targets_of

SIZE_HW, CLASSES = (96, 160), 4


def _predictions(pictures: int) -> Predictions:
    priors, strides = grid_priors(SIZE_HW, (8, 16, 32), scale=1.0, device=torch.device("cpu"))
    draw = torch.Generator().manual_seed(0)
    return Predictions(
        class_logits=(torch.randn(pictures, len(strides), CLASSES, generator=draw) - 2).requires_grad_(),
        box_logits=torch.randn(pictures, len(strides), 4, generator=draw).requires_grad_(),
        objectness_logits=torch.randn(pictures, len(strides), generator=draw).requires_grad_(),
        priors_cxcywh=priors,
        strides=strides,
        coding=DistanceCoding(),
        size_hw=SIZE_HW,
    )


def _slow_losses(predictions: Predictions, targets: Targets) -> Losses:
    """Point by point, in double precision."""
    class_logits, box_logits, central_logits = (leaf.double() for leaf in leaves(predictions))
    class_sum = class_logits.sum() * 0
    box_sum = central_sum = box_logits.sum() * 0 + central_logits.sum() * 0
    positives, weights = 0, 0.0
    for picture in range(targets.pictures):
        mine = targets.of(picture)
        assigned = assign_centre_sampling(mine, predictions.priors_cxcywh, predictions.strides)
        owner = dict(zip(assigned.points.tolist(), assigned.boxes.tolist(), strict=True))
        positives += len(owner)
        for point, stride in enumerate(predictions.strides.tolist()):
            share, label = 1.0, -1
            if point in owner:
                x, y = predictions.priors_cxcywh[point, :2].tolist()
                x1, y1, x2, y2 = mine.boxes_xyxy[owner[point]].double()
                share, label = float(mine.weights[owner[point]]), int(mine.labels[owner[point]])
                left, top, right, bottom = x - x1, y - y1, x2 - x, y2 - y
                across = torch.minimum(left, right) / torch.maximum(left, right)
                down = torch.minimum(top, bottom) / torch.maximum(top, bottom)
                central = (across * down).sqrt()
                weights += float(central)
                a, b, c, d = (box_logits[picture, point].exp() * stride).unbind()
                width = torch.minimum(a, left) + torch.minimum(c, right)
                height = torch.minimum(b, top) + torch.minimum(d, bottom)
                shared = width * height
                union = (a + c) * (b + d) + (left + right) * (top + bottom) - shared
                hull = (torch.maximum(a, left) + torch.maximum(c, right)) * (
                    torch.maximum(b, top) + torch.maximum(d, bottom)
                )
                box_sum = box_sum + share * central * (1 - shared / union + (hull - union) / hull)
                score = central_logits[picture, point].sigmoid()
                central_sum = central_sum - share * (central * score.log() + (1 - central) * (1 - score).log())
            for number, score in enumerate(class_logits[picture, point].sigmoid()):
                if number == label:
                    class_sum = class_sum - share * 0.25 * (1 - score) ** 2 * score.log()
                else:
                    class_sum = class_sum - 0.75 * score**2 * (1 - score).log()
    return {
        "class": class_sum / max(positives, 1),
        "box": box_sum / max(weights, 1e-6),
        "centreness": central_sum / max(positives, 1),
    }


@pytest.mark.parametrize("counts", [[3, 0, 6], [1], [0, 0]])
def test_values_and_gradients_agree_with_the_slow_form(counts: list[int]) -> None:
    targets = random_targets(1, counts, size_hw=SIZE_HW, classes=CLASSES, least_weight=0.3)
    predictions = _predictions(len(counts))
    ours = FcosObjectiveConfig().build()(predictions, targets)
    require_same_losses(ours, _slow_losses(predictions, targets), predictions)


def test_without_objects_there_is_class_loss_only() -> None:
    predictions = _predictions(2)
    losses = FcosObjectiveConfig().build()(predictions, random_targets(0, [0, 0], size_hw=SIZE_HW, classes=CLASSES))
    assert losses["class"].item() > 0
    assert losses["box"].item() == losses["centreness"].item() == 0
    classes, boxes, central = gradients(losses, predictions)
    assert classes.abs().sum() > 0
    assert boxes.abs().sum() == central.abs().sum() == 0


def test_a_point_in_the_middle_of_its_box_is_wholly_central() -> None:
    # The middle of the cell in row 4, column 4 of stride 8 is (36, 36); no other point lies in the box.
    targets = targets_of([[32.5, 32.5, 39.5, 39.5]])
    predictions = _predictions(1)
    with torch.no_grad():
        leaves(predictions)[2][0, 4 * 20 + 4] = 12.0
    assert FcosObjectiveConfig().build()(predictions, targets)["centreness"].item() == pytest.approx(0, abs=1e-4)


def test_weights_of_losses_come_from_the_config() -> None:
    targets, predictions = random_targets(3, [6], size_hw=SIZE_HW, classes=CLASSES), _predictions(1)
    plain = FcosObjectiveConfig().build()(predictions, targets)
    chosen = config.override(FcosObjectiveConfig(), ["class_weight=3", "box_weight=0.5", "centreness_weight=0"])
    other = chosen.build()(predictions, targets)
    assert other["class"].item() == pytest.approx(3 * plain["class"].item())
    assert other["box"].item() == pytest.approx(plain["box"].item() / 2)
    assert other["centreness"].item() == 0


def test_full_precision_under_autocast() -> None:
    targets = random_targets(4, [5], size_hw=SIZE_HW, classes=CLASSES)
    require_full_precision_under_autocast(FcosObjectiveConfig().build(), _predictions(1), targets)


def test_a_head_without_centreness_is_refused() -> None:
    predictions = dataclasses.replace(_predictions(1), objectness_logits=None)
    with pytest.raises(ModelError, match="teaches a centreness, the head has none"):
        FcosObjectiveConfig().build()(predictions, random_targets(0, [1], size_hw=SIZE_HW, classes=CLASSES))
