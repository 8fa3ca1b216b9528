from __future__ import annotations

import dataclasses

import pytest
import torch

from sanderling import config
from sanderling.models import zoo
from sanderling.objectives import distribution as module
from sanderling.objectives.assigners.atss import assign_atss
from sanderling.objectives.distribution import DistributionObjectiveConfig
from sanderling.ops.tensor.coding import DistributionCoding
from sanderling.ops.tensor.decode import decode
from sanderling.ops.tensor.iou import aligned_iou
from sanderling.ops.tensor.points import grid_priors
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

SIZE_HW, CLASSES, BINS = (96, 160), 5, 8


def _predictions(pictures: int, *, seed: int = 0, size_hw: tuple[int, int] = SIZE_HW) -> Predictions:
    priors, strides = grid_priors(size_hw, (8, 16, 32), scale=5.0, device=torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    return Predictions(
        class_logits=(torch.randn(pictures, len(strides), CLASSES, generator=generator) - 2).requires_grad_(),
        box_logits=torch.randn(pictures, len(strides), 4 * BINS, generator=generator).requires_grad_(),
        priors_cxcywh=priors,
        strides=strides,
        coding=DistributionCoding(BINS),
        size_hw=size_hw,
    )


def _one(predictions: Predictions, picture: int) -> Predictions:
    return dataclasses.replace(
        predictions,
        class_logits=predictions.class_logits[picture : picture + 1],
        box_logits=predictions.box_logits[picture : picture + 1],
    )


def _slow_losses(predictions: Predictions, targets: Targets) -> Losses:
    """NanoDet's loss written out point by point, in double precision and in units of the stride."""
    values = torch.arange(BINS, dtype=torch.float64)
    class_sum = torch.zeros((), dtype=torch.float64)
    box_sum = side_sum = predictions.box_logits.double().sum() * 0
    positives, weights = 0.0, 0.0
    for picture in range(targets.pictures):
        mine = targets.of(picture)
        assigned = assign_atss(mine, predictions.priors_cxcywh, predictions.strides)
        owner = dict(zip(assigned.points.tolist(), assigned.boxes.tolist(), strict=True))
        positives += max(len(owner), 1)
        for point, stride in enumerate(predictions.strides.tolist()):
            logits = predictions.class_logits[picture, point].double()
            scores = logits.sigmoid()
            quality = torch.zeros(CLASSES, dtype=torch.float64)
            share = torch.ones(CLASSES, dtype=torch.float64)
            if point in owner:
                box = mine.boxes_xyxy[owner[point]].double() / stride
                x, y = predictions.priors_cxcywh[point, :2].double() / stride
                sides = predictions.box_logits[picture, point].double().view(4, BINS)
                left, top, right, bottom = sides.softmax(1) @ values
                x1, y1, x2, y2 = x - left, y - top, x + right, y + bottom
                shared = (torch.minimum(x2, box[2]) - torch.maximum(x1, box[0])).clamp(min=0) * (
                    torch.minimum(y2, box[3]) - torch.maximum(y1, box[1])
                ).clamp(min=0)
                union = (x2 - x1) * (y2 - y1) + (box[2] - box[0]) * (box[3] - box[1]) - shared
                hull = (torch.maximum(x2, box[2]) - torch.minimum(x1, box[0])) * (
                    torch.maximum(y2, box[3]) - torch.minimum(y1, box[1])
                )
                iou = shared / union
                label, weight = int(mine.labels[owner[point]]), float(mine.weights[owner[point]])
                quality[label], share[label] = iou.detach(), weight
                best = scores.max().item()
                weights += best
                box_sum = box_sum + best * weight * (1 - iou + (hull - union) / hull)
                for side, distance in zip(sides, (x - box[0], y - box[1], box[2] - x, box[3] - y), strict=True):
                    wanted = min(max(float(distance), 0.0), BINS - 1 - 0.1)
                    low = int(wanted)
                    shares = side.log_softmax(0)
                    each = -(low + 1 - wanted) * shares[low] - (wanted - low) * shares[low + 1]
                    side_sum = side_sum + best * weight * each / 4
            entropy = -quality * scores.log() - (1 - quality) * (1 - scores).log()
            class_sum = class_sum + (share * entropy * (quality - scores) ** 2).sum()
    return {
        "class": class_sum / max(positives, 1),
        "box": 2.0 * box_sum / max(weights, 1),
        "distribution": 0.25 * side_sum / max(weights, 1),
    }


@pytest.mark.parametrize("counts", [[3, 0, 6], [1], [0, 0]])
def test_values_and_gradients_agree_with_the_slow_form(counts: list[int]) -> None:
    targets = random_targets(1, counts, size_hw=SIZE_HW, classes=CLASSES, least_weight=0.3)
    predictions = _predictions(len(counts))
    ours = DistributionObjectiveConfig().build()(predictions, targets)
    require_same_losses(ours, _slow_losses(predictions, targets), predictions)


def test_without_objects_there_is_class_loss_only_and_a_gradient() -> None:
    predictions = _predictions(2)
    losses = DistributionObjectiveConfig().build()(
        predictions, random_targets(0, [0, 0], size_hw=SIZE_HW, classes=CLASSES)
    )
    assert losses["class"].item() > 0
    assert losses["box"].item() == losses["distribution"].item() == 0
    classes, boxes = gradients(losses, predictions)
    assert classes.abs().sum() > 0
    assert boxes.abs().sum() == 0


def test_a_batch_is_its_pictures_with_common_divisors() -> None:
    targets = random_targets(2, [4, 7], size_hw=SIZE_HW, classes=CLASSES)
    predictions = _predictions(2)
    objective = DistributionObjectiveConfig().build()
    together = objective(predictions, targets)
    alone = [objective(_one(predictions, picture), targets.of(picture)) for picture in (0, 1)]
    counts, sums = [], []
    for picture in (0, 1):
        assigned = assign_atss(targets.of(picture), predictions.priors_cxcywh, predictions.strides)
        counts.append(len(assigned.points))
        sums.append(predictions.class_logits[picture, assigned.points].amax(-1).sigmoid().sum().item())
    assert min(sums) > 1  # else the least divisor hides what is tested
    for name, shares in (("class", counts), ("box", sums), ("distribution", sums)):
        expected = sum(loss[name].item() * share for loss, share in zip(alone, shares, strict=True)) / sum(shares)
        assert together[name].item() == pytest.approx(expected, rel=1e-5)


def test_weights_of_targets_multiply_the_losses() -> None:
    targets = random_targets(3, [6], size_hw=SIZE_HW, classes=CLASSES)
    predictions = _predictions(1)
    objective = DistributionObjectiveConfig().build()
    full = objective(predictions, targets)
    half = objective(predictions, dataclasses.replace(targets, weights=targets.weights / 2))
    for name in ("box", "distribution"):
        assert half[name].item() == pytest.approx(full[name].item() / 2)
    assert half["class"].item() < full["class"].item()


def test_weights_of_losses_come_from_the_config() -> None:
    targets, predictions = random_targets(3, [6], size_hw=SIZE_HW, classes=CLASSES), _predictions(1)
    plain = DistributionObjectiveConfig().build()(predictions, targets)
    chosen = config.override(DistributionObjectiveConfig(), ["class_weight=3", "box_weight=1", "distribution_weight=0"])
    other = chosen.build()(predictions, targets)
    assert other["class"].item() == pytest.approx(3 * plain["class"].item())
    assert other["box"].item() == pytest.approx(plain["box"].item() / 2)
    assert other["distribution"].item() == 0


def test_full_precision_under_autocast() -> None:
    targets = random_targets(4, [5], size_hw=SIZE_HW, classes=CLASSES)
    require_full_precision_under_autocast(DistributionObjectiveConfig().build(), _predictions(1), targets)


def test_two_calls_give_the_same_bits() -> None:
    targets, predictions = random_targets(5, [20, 31], size_hw=SIZE_HW, classes=CLASSES), _predictions(2)
    objective = DistributionObjectiveConfig().build()
    first, second = (gradients(objective(predictions, targets), predictions) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_divisors_are_means_over_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, predictions = random_targets(6, [6], size_hw=SIZE_HW, classes=CLASSES), _predictions(1)
    objective = DistributionObjectiveConfig().build()
    alone = objective(predictions, targets)
    monkeypatch.setattr(module, "shared_divisor", lambda value: value * 4)
    among_others = objective(predictions, targets)
    for name, loss in alone.items():
        assert among_others[name].item() == pytest.approx(loss.item() / 4)


@pytest.mark.parametrize("name", ["nanodet-m", "nanodet-debug"])
def test_every_parameter_in_use_gets_a_gradient(name: str) -> None:
    network = zoo.config(name, ("fire", "smoke", "crane")).build().train()
    size_hw = (96, 128)
    targets = random_targets(1, [6, 0], size_hw=size_hw, classes=3, largest=0.9)
    images = torch.randint(0, 256, (2, 3, *size_hw), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    losses = DistributionObjectiveConfig().build()(network(images), targets)
    total(losses).backward()
    without = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    exempt = zoo.entry(name).unused_parameters
    assert [key for key in without if not key.startswith(exempt or ("-",))] == []
    assert all(key in without for key, _ in network.named_parameters() if exempt and key.startswith(exempt))


def test_training_pulls_boxes_and_scores_to_the_objects() -> None:
    torch.manual_seed(0)
    network = zoo.config("nanodet-debug", ("a", "b")).build().train()
    size_hw = (64, 96)
    targets = random_targets(1, [3, 2], size_hw=size_hw, classes=2)
    images = torch.randint(0, 256, (2, 3, *size_hw), dtype=torch.uint8)
    objective = DistributionObjectiveConfig().build()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    overlaps, scores = [], []
    for _ in range(40):
        predictions = network(images)
        assigned = assign_atss(targets, predictions.priors_cxcywh, predictions.strides)
        boxes, confidences = decode(predictions)
        found = boxes[assigned.pictures, assigned.points]
        overlaps.append(aligned_iou(found, targets.boxes_xyxy[assigned.boxes]).mean().item())
        of_class = confidences[assigned.pictures, assigned.points, targets.labels[assigned.boxes]]
        scores.append(of_class.mean().item())
        optimizer.zero_grad()
        total(objective(predictions, targets)).backward()
        optimizer.step()
    assert overlaps[-1] > overlaps[0] + 0.2
    assert scores[-1] > scores[0] + 0.2
