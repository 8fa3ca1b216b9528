from __future__ import annotations

import math

import pytest
import torch

from sanderling import config
from sanderling.objectives.assigners.max_iou import assign_max_iou
from sanderling.objectives.losses.hard_negatives import HardNegatives
from sanderling.objectives.ssd import SsdObjectiveConfig
from sanderling.ops.tensor.coding import SsdCoding
from sanderling.ops.tensor.decode import decode
from sanderling.ops.tensor.iou import aligned_iou
from sanderling.ops.tensor.ssd_anchors import ssd_anchors, ssd_priors
from sanderling.structures.batch import Targets
from sanderling.structures.predictions import Predictions
from tests.support.objectives import (
    Losses,
    gradients,
    require_full_precision_under_autocast,
    require_same_losses,
    total,
)
from tests.support.targets import random_targets

SIZE_HW, CLASSES = (96, 160), 4
GRIDS = [(6, 10), (3, 5), (2, 3)]


def _predictions(pictures: int) -> Predictions:
    anchors = ssd_anchors(3, smallest=0.2, largest=0.95, ratios=(1.0, 2.0, 0.5))
    priors = ssd_priors(SIZE_HW, GRIDS, anchors, device=torch.device("cpu"))
    draw = torch.Generator().manual_seed(0)
    return Predictions(
        class_logits=(torch.randn(pictures, len(priors), CLASSES, generator=draw) - 2).requires_grad_(),
        box_logits=(2 * torch.randn(pictures, len(priors), 4, generator=draw)).requires_grad_(),
        priors_cxcywh=priors,
        strides=torch.full((len(priors),), 16.0),
        coding=SsdCoding(),
        size_hw=SIZE_HW,
    )


def _slow_losses(predictions: Predictions, targets: Targets) -> Losses:
    """Prior by prior and class by class, in double precision."""
    class_sum = torch.zeros((), dtype=torch.float64)
    box_sum = predictions.box_logits.double().sum() * 0
    positives = 0
    for picture in range(targets.pictures):
        mine = targets.of(picture)
        assigned = assign_max_iou(mine, predictions.priors_cxcywh)
        owner = dict(zip(assigned.points.tolist(), assigned.boxes.tolist(), strict=True))
        positives += len(owner)
        for point, (x, y, width, height) in enumerate(predictions.priors_cxcywh.tolist()):
            scores = predictions.class_logits[picture, point].double().sigmoid()
            share, label = 1.0, -1
            if point in owner:
                x1, y1, x2, y2 = mine.boxes_xyxy[owner[point]].tolist()
                share, label = float(mine.weights[owner[point]]), int(mine.labels[owner[point]])
                wanted = torch.tensor(
                    [
                        10 * ((x1 + x2) / 2 - x) / width,
                        10 * ((y1 + y2) / 2 - y) / height,
                        5 * float(torch.log(torch.tensor((x2 - x1) / width, dtype=torch.float64))),
                        5 * float(torch.log(torch.tensor((y2 - y1) / height, dtype=torch.float64))),
                    ],
                    dtype=torch.float64,
                )
                for difference in (predictions.box_logits[picture, point].double() - wanted).abs():
                    huber = difference**2 / 2 if difference < 1 else difference - 0.5
                    box_sum = box_sum + share * huber / 4
            for number, score in enumerate(scores):
                if number == label:
                    class_sum = class_sum - share * 0.75 * (1 - score) ** 2 * score.log()
                else:
                    class_sum = class_sum - 0.25 * score**2 * (1 - score).log()
    return {"class": class_sum / max(positives, 1), "box": box_sum / max(positives, 1)}


@pytest.mark.parametrize("counts", [[3, 0, 6], [1], [0, 0]])
def test_values_and_gradients_agree_with_the_slow_form(counts: list[int]) -> None:
    targets = random_targets(1, counts, size_hw=SIZE_HW, classes=CLASSES, least_weight=0.3)
    predictions = _predictions(len(counts))
    ours = SsdObjectiveConfig().build()(predictions, targets)
    require_same_losses(ours, _slow_losses(predictions, targets), predictions)


def test_without_objects_there_is_class_loss_only_and_a_gradient() -> None:
    predictions = _predictions(2)
    losses = SsdObjectiveConfig().build()(predictions, random_targets(0, [0, 0], size_hw=SIZE_HW, classes=CLASSES))
    assert losses["class"].item() > 0
    assert losses["box"].item() == 0
    classes, boxes = gradients(losses, predictions)
    assert classes.abs().sum() > 0
    assert boxes.abs().sum() == 0


def test_weights_and_reach_come_from_the_config() -> None:
    targets, predictions = random_targets(3, [6], size_hw=SIZE_HW, classes=CLASSES), _predictions(1)
    plain = SsdObjectiveConfig().build()(predictions, targets)
    chosen = config.override(SsdObjectiveConfig(), ["class_weight=3", "box_weight=0.5"]).build()(predictions, targets)
    assert chosen["class"].item() == pytest.approx(3 * plain["class"].item())
    assert chosen["box"].item() == pytest.approx(plain["box"].item() / 2)
    wider = SsdObjectiveConfig(match_iou=0.3).build()(predictions, targets)
    assert wider["class"].item() < plain["class"].item(), "more positives divide it"


def test_full_precision_under_autocast() -> None:
    targets = random_targets(4, [5], size_hw=SIZE_HW, classes=CLASSES)
    require_full_precision_under_autocast(SsdObjectiveConfig().build(), _predictions(1), targets)


def test_descending_the_loss_finds_the_boxes() -> None:
    targets = random_targets(5, [3], size_hw=SIZE_HW, classes=CLASSES)
    predictions = _predictions(1)
    optimizer = torch.optim.Adam([predictions.class_logits, predictions.box_logits], lr=0.2)
    objective = SsdObjectiveConfig().build()
    for _ in range(150):
        optimizer.zero_grad()
        total(objective(predictions, targets)).backward()
        optimizer.step()
    with torch.no_grad():
        boxes, scores = decode(predictions)
    assigned = assign_max_iou(targets, predictions.priors_cxcywh)
    assert aligned_iou(boxes[0, assigned.points], targets.boxes_xyxy[assigned.boxes]).min() > 0.9
    assert (scores[0, assigned.points].argmax(-1) == targets.labels[assigned.boxes]).all()


def test_hard_negatives_leave_the_easy_ones_out() -> None:
    mining = HardNegatives(ratio=2, floor=0.05)
    targets, predictions = random_targets(6, [4, 0], size_hw=SIZE_HW, classes=CLASSES), _predictions(2)
    plain = SsdObjectiveConfig().build()(predictions, targets)
    mined = SsdObjectiveConfig(hard_negatives=mining).build()(predictions, targets)
    assert torch.equal(mined["box"], plain["box"])
    assigned = assign_max_iou(targets, predictions.priors_cxcywh)
    probabilities = predictions.class_logits.detach().double().sigmoid()
    as_nothing = (-0.25 * probabilities**2 * (1 - probabilities).log()).sum(-1)
    left_out = 0.0
    for picture in range(2):
        positive = assigned.points[assigned.pictures == picture].tolist()
        others = sorted((float(loss) for p, loss in enumerate(as_nothing[picture]) if p not in positive), reverse=True)
        left_out += sum(others[math.ceil(max(2 * len(positive), 0.05 * as_nothing.shape[1])) :])
    expected = plain["class"].item() - left_out / len(assigned.points)
    assert mined["class"].item() == pytest.approx(expected, rel=1e-4)
    taught = gradients(mined, predictions)[0].abs().sum(-1) > 0
    assert taught.sum() < (gradients(plain, predictions)[0].abs().sum(-1) > 0).sum()
    assert taught[1].sum() == math.ceil(0.05 * as_nothing.shape[1]), "a picture without objects teaches its floor"
