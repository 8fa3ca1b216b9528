from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from sanderling import config
from sanderling.objectives.assigners.max_iou import assign_max_iou
from sanderling.objectives.ssd import SsdObjectiveConfig
from sanderling.ops.tensor.coding import SsdCoding
from sanderling.ops.tensor.decode import decode
from sanderling.ops.tensor.iou import aligned_iou
from sanderling.ops.tensor.ssd_anchors import ssd_anchors, ssd_priors
from sanderling.structures.batch import Targets
from sanderling.structures.predictions import Predictions
from tests.support.targets import random_targets

SIZE_HW, CLASSES = (96, 160), 4
GRIDS = [(6, 10), (3, 5), (2, 3)]
Losses = dict[str, Tensor]


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


def _gradients(losses: Losses, predictions: Predictions) -> tuple[Tensor, ...]:
    return torch.autograd.grad(
        sum(losses.values(), torch.zeros(())), (predictions.class_logits, predictions.box_logits)
    )


@pytest.mark.parametrize("counts", [[3, 0, 6], [1], [0, 0]])
def test_values_and_gradients_agree_with_the_slow_form(counts: list[int]) -> None:
    targets = random_targets(1, counts, size_hw=SIZE_HW, classes=CLASSES)
    targets = dataclasses.replace(targets, weights=torch.linspace(0.3, 1, len(targets.labels)))
    predictions = _predictions(len(counts))
    ours, reference = SsdObjectiveConfig().build()(predictions, targets), _slow_losses(predictions, targets)
    assert ours.keys() == reference.keys()
    for name, loss in reference.items():
        assert ours[name].item() == pytest.approx(loss.item(), rel=1e-4), name
    for found, expected in zip(_gradients(ours, predictions), _gradients(reference, predictions), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_without_objects_there_is_class_loss_only_and_a_gradient() -> None:
    predictions = _predictions(2)
    losses = SsdObjectiveConfig().build()(predictions, random_targets(0, [0, 0], size_hw=SIZE_HW, classes=CLASSES))
    assert losses["class"].item() > 0
    assert losses["box"].item() == 0
    classes, boxes = _gradients(losses, predictions)
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
    targets, predictions = random_targets(4, [5], size_hw=SIZE_HW, classes=CLASSES), _predictions(1)
    objective = SsdObjectiveConfig().build()
    expected = objective(predictions, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = objective(predictions, targets)
    for name, loss in expected.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], loss)


def test_descending_the_loss_finds_the_boxes() -> None:
    targets = random_targets(5, [3], size_hw=SIZE_HW, classes=CLASSES)
    predictions = _predictions(1)
    optimizer = torch.optim.Adam([predictions.class_logits, predictions.box_logits], lr=0.2)
    objective = SsdObjectiveConfig().build()
    for _ in range(150):
        optimizer.zero_grad()
        sum(objective(predictions, targets).values(), torch.zeros(())).backward()
        optimizer.step()
    with torch.no_grad():
        boxes, scores = decode(predictions)
    assigned = assign_max_iou(targets, predictions.priors_cxcywh)
    assert aligned_iou(boxes[0, assigned.points], targets.boxes_xyxy[assigned.boxes]).min() > 0.9
    assert (scores[0, assigned.points].argmax(-1) == targets.labels[assigned.boxes]).all()
