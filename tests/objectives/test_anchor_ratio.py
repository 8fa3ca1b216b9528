from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from sanderling import config
from sanderling.errors import ModelError
from sanderling.objectives import anchor_ratio as module
from sanderling.objectives.anchor_ratio import YOLOR, YOLOV7_TINY, AnchorRatioObjectiveConfig
from sanderling.objectives.assigners.anchor_ratio import assign_anchor_ratio
from sanderling.ops.tensor.coding import YoloCoding
from sanderling.ops.tensor.points import anchor_priors
from sanderling.structures.batch import Targets
from sanderling.structures.predictions import Predictions
from tests.support.objectives import (
    Losses,
    gradients,
    leaves,
    require_full_precision_under_autocast,
    require_same_losses,
)
from tests.support.targets import random_targets

SIZE_HW, CLASSES = (96, 160), 5
STRIDES = (8, 16, 32)
ANCHORS = (((10.0, 13.0), (16.0, 30.0)), ((30.0, 61.0), (62.0, 45.0)), ((116.0, 90.0), (156.0, 198.0)))
BALANCE = {8: 4.0, 16: 1.0, 32: 0.4}


def _predictions(pictures: int, *, seed: int = 0) -> Predictions:
    priors, strides = anchor_priors(SIZE_HW, STRIDES, ANCHORS, device=torch.device("cpu"))
    draw = torch.Generator().manual_seed(seed)
    points = len(strides)
    return Predictions(
        class_logits=torch.randn(pictures, points, CLASSES, generator=draw).requires_grad_(),
        box_logits=torch.randn(pictures, points, 4, generator=draw).requires_grad_(),
        objectness_logits=(torch.randn(pictures, points, generator=draw) - 2).requires_grad_(),
        priors_cxcywh=priors,
        strides=strides,
        coding=YoloCoding(2.0, "sigmoid_squared"),
        size_hw=SIZE_HW,
    )


def _ciou(box: Tensor, wanted: Tensor) -> Tensor:
    shared = (torch.minimum(box[2:], wanted[2:]) - torch.maximum(box[:2], wanted[:2])).clamp(min=0).prod()
    iou = shared / ((box[2:] - box[:2]).prod() + (wanted[2:] - wanted[:2]).prod() - shared)
    hull = torch.maximum(box[2:], wanted[2:]) - torch.minimum(box[:2], wanted[:2])
    apart = (box[:2] + box[2:] - wanted[:2] - wanted[2:]) / 2
    (w, h), (wanted_w, wanted_h) = box[2:] - box[:2], wanted[2:] - wanted[:2]
    v = 4 / math.pi**2 * (torch.atan(wanted_w / wanted_h) - torch.atan(w / h)) ** 2
    return iou - (apart**2).sum() / (hull**2).sum() - (v / (1 - iou + v)).detach() * v


def _slow_losses(predictions: Predictions, targets: Targets) -> Losses:
    """The published loss written out level by level and positive by positive, in double precision."""
    objectness = predictions.objectness_logits
    assert objectness is not None
    assigned = assign_anchor_ratio(targets, predictions.priors_cxcywh, predictions.strides, size_hw=SIZE_HW)
    zero = 0 * torch.stack([logits.double().sum() for logits in leaves(predictions)]).sum()
    box_loss, class_loss, objectness_loss = zero, zero, zero
    for stride in STRIDES:
        quality = torch.zeros_like(objectness, dtype=torch.float64)
        of_level = predictions.strides == stride
        boxes, classes = [], []
        for picture, point, number in zip(assigned.pictures, assigned.points, assigned.boxes, strict=True):
            if not of_level[point]:
                continue
            x, y, w, h = predictions.box_logits[picture, point].double().sigmoid()
            prior_x, prior_y, prior_w, prior_h = predictions.priors_cxcywh[point].double()
            # 2 * sigmoid - 0.5 from the cell's corner is 2 * sigmoid - 1 from its centre.
            centre_x, centre_y = prior_x + (2 * x - 1) * stride, prior_y + (2 * y - 1) * stride
            width, height = prior_w * (2 * w) ** 2, prior_h * (2 * h) ** 2
            corners = (centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)
            ciou = _ciou(torch.stack(corners), targets.boxes_xyxy[number].double())
            quality[picture, point] = max(quality[picture, point], ciou.detach().clamp(min=0))
            share = targets.weights[number].double()
            boxes.append(share * (1 - ciou))
            scores = predictions.class_logits[picture, point].double().sigmoid()
            wanted = torch.zeros(CLASSES, dtype=torch.float64)
            wanted[targets.labels[number]] = 1
            classes.append(share * -(wanted * scores.log() + (1 - wanted) * (1 - scores).log()).mean())
        if boxes:
            box_loss = box_loss + torch.stack(boxes).mean()
            class_loss = class_loss + torch.stack(classes).mean()
        scores = objectness.double().sigmoid()
        entropy = -(quality * scores.log() + (1 - quality) * (1 - scores).log())
        objectness_loss = objectness_loss + BALANCE[stride] * entropy[:, of_level].mean()
    return {"class": 64 * 0.3 * class_loss, "box": 64 * 0.05 * box_loss, "objectness": 64 * 0.7 * objectness_loss}


@pytest.mark.parametrize("counts", [[3, 0, 6], [1], [0, 0]])
def test_values_and_gradients_agree_with_the_slow_form(counts: list[int]) -> None:
    targets = random_targets(1, counts, size_hw=SIZE_HW, classes=CLASSES, least_weight=0.3)
    predictions = _predictions(len(counts))
    ours = YOLOR.build()(predictions, targets)
    require_same_losses(ours, _slow_losses(predictions, targets), predictions)


def test_without_objects_only_objectness_is_taught() -> None:
    predictions = _predictions(2)
    losses = YOLOR.build()(predictions, random_targets(0, [0, 0], size_hw=SIZE_HW, classes=CLASSES))
    assert losses["class"].item() == losses["box"].item() == 0
    classes, boxes, objectness = gradients(losses, predictions)
    assert classes.abs().sum() == boxes.abs().sum() == 0
    assert (objectness > 0).all()


def test_yolov7_weighs_objectness_by_the_inputs_area_and_classes_by_their_number() -> None:
    targets, predictions = random_targets(3, [6], size_hw=SIZE_HW, classes=CLASSES), _predictions(1)
    plain, adapted = YOLOR.build()(predictions, targets), YOLOV7_TINY.build()(predictions, targets)
    area = SIZE_HW[0] * SIZE_HW[1] / 640**2
    assert adapted["objectness"].item() == pytest.approx(plain["objectness"].item() * 1.0 / 0.7 * area)
    assert adapted["class"].item() == pytest.approx(plain["class"].item() * 0.5 / 0.3 * CLASSES / 80)
    assert adapted["box"].item() == pytest.approx(plain["box"].item())


def test_weights_of_targets_multiply_box_and_class_losses() -> None:
    targets, predictions = random_targets(3, [6], size_hw=SIZE_HW, classes=CLASSES), _predictions(1)
    objective = YOLOR.build()
    full = objective(predictions, targets)
    half = objective(predictions, dataclasses.replace(targets, weights=targets.weights / 2))
    for name in ("box", "class"):
        assert half[name].item() == pytest.approx(full[name].item() / 2)


def test_weights_of_losses_come_from_the_config() -> None:
    targets, predictions = random_targets(3, [6], size_hw=SIZE_HW, classes=CLASSES), _predictions(1)
    plain = YOLOR.build()(predictions, targets)
    chosen = config.override(AnchorRatioObjectiveConfig(), ["class_weight=0.6", "objectness_weight=0", "box_weight=1"])
    other = chosen.build()(predictions, targets)
    assert other["class"].item() == pytest.approx(2 * plain["class"].item())
    assert other["box"].item() == pytest.approx(20 * plain["box"].item())
    assert other["objectness"].item() == 0


def test_full_precision_under_autocast() -> None:
    targets = random_targets(4, [5], size_hw=SIZE_HW, classes=CLASSES)
    require_full_precision_under_autocast(YOLOR.build(), _predictions(1), targets)


def test_two_calls_give_the_same_bits() -> None:
    targets, predictions = random_targets(5, [20, 31], size_hw=SIZE_HW, classes=CLASSES), _predictions(2)
    first, second = (gradients(YOLOR.build()(predictions, targets), predictions) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_divisors_are_those_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, predictions = random_targets(6, [6], size_hw=SIZE_HW, classes=CLASSES), _predictions(1)
    alone = YOLOR.build()(predictions, targets)
    monkeypatch.setattr(module, "shared_divisor", lambda value: value * 4)
    among_others = YOLOR.build()(predictions, targets)
    for name in ("box", "class", "objectness"):
        assert among_others[name].item() == pytest.approx(alone[name].item() / 4)


def test_a_head_without_objectness_is_refused() -> None:
    predictions = dataclasses.replace(_predictions(1), objectness_logits=None)
    with pytest.raises(ModelError, match="anchor_ratio teaches objectness, the head has none"):
        YOLOR.build()(predictions, random_targets(0, [1], size_hw=SIZE_HW, classes=CLASSES))


def test_more_levels_than_weights_are_refused() -> None:
    objective = AnchorRatioObjectiveConfig(level_weights=(4.0, 1.0)).build()
    with pytest.raises(ModelError, match=r"level_weights: 2 weights for a network with 3 levels; give one for each"):
        objective(_predictions(1), random_targets(0, [1], size_hw=SIZE_HW, classes=CLASSES))
