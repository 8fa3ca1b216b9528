from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from sanderling.objectives import dynamic_distribution as module
from sanderling.objectives.assigners.dsla import assign_dsla
from sanderling.objectives.dynamic_distribution import DynamicDistributionObjectiveConfig
from sanderling.ops.tensor.coding import DistributionCoding
from sanderling.ops.tensor.iou import aligned_giou
from sanderling.ops.tensor.points import grid_priors
from sanderling.structures.batch import Targets
from sanderling.structures.predictions import Predictions
from tests.support.objectives import require_full_precision_under_autocast, require_same_losses
from tests.support.targets import random_targets

SIZE_HW, CLASSES, BINS = (64, 96), 3, 5
CODING = DistributionCoding(BINS)


def _predictions(pictures: int, *, seed: int = 0) -> Predictions:
    draw = torch.Generator().manual_seed(seed)
    priors, strides = grid_priors(SIZE_HW, (8, 16, 32), scale=1.0, offset=0.0, device=torch.device("cpu"))
    return Predictions(
        class_logits=(torch.randn(pictures, len(priors), CLASSES, generator=draw) * 2 - 1).requires_grad_(),
        box_logits=torch.randn(pictures, len(priors), 4 * BINS, generator=draw).mul_(2).requires_grad_(),
        priors_cxcywh=priors,
        strides=strides,
        coding=CODING,
        size_hw=SIZE_HW,
    )


def _slow_losses(said: Predictions, judge: Predictions, targets: Targets) -> dict[str, Tensor]:
    """Dense maps of what every point should say, as the published code has them."""
    judged = CODING.decode(judge.box_logits, judge.priors_cxcywh, judge.strides).detach()
    assigned, _ = assign_dsla(targets, judge.priors_cxcywh, judge.class_logits.detach(), judged)
    boxes = CODING.decode(said.box_logits, said.priors_cxcywh, said.strides)
    soft = torch.zeros_like(said.class_logits)
    box, sides, weights = torch.zeros(()), torch.zeros(()), torch.zeros(())
    for picture, point, number in zip(assigned.pictures, assigned.points, assigned.boxes, strict=True):
        wanted = targets.boxes_xyxy[number]
        soft[picture, point, targets.labels[number]] = aligned_giou(judged[picture, point], wanted)[0]
        best = said.class_logits[picture, point].detach().sigmoid().max()
        weights = weights + best
        box = box + best * (1 - aligned_giou(boxes[picture, point], wanted)[1])
        x, y = said.priors_cxcywh[point, :2]
        distances = torch.stack((x - wanted[0], y - wanted[1], wanted[2] - x, wanted[3] - y)) / said.strides[point]
        distances = distances.clamp(0, BINS - 1 - 0.1)
        shares = said.box_logits[picture, point].view(4, BINS).log_softmax(-1)
        for side, distance in zip(shares, distances.tolist(), strict=True):
            low = int(distance)
            sides = sides - best / 4 * ((low + 1 - distance) * side[low] + (distance - low) * side[low + 1])
    scores = said.class_logits.sigmoid()
    entropy = torch.nn.functional.binary_cross_entropy(scores, soft, reduction="none")
    weights = weights.clamp(min=1)
    return {
        "class": (entropy * (soft - scores).square()).sum() / max(1, len(assigned.points)),
        "box": 2 * box / weights,
        "distribution": 0.25 * sides / weights,
    }


@pytest.mark.parametrize("counts", [[4, 0, 7], [1]])
def test_both_are_taught_the_points_and_the_quality_that_the_guidance_says(counts: list[int]) -> None:
    targets = random_targets(1, counts, size_hw=SIZE_HW, classes=CLASSES)
    ours, guidance = _predictions(len(counts)), _predictions(len(counts), seed=1)
    losses = DynamicDistributionObjectiveConfig().build()(ours, targets, guidance)
    expected = _slow_losses(ours, guidance, targets)
    expected |= {f"guidance_{name}": loss for name, loss in _slow_losses(guidance, guidance, targets).items()}
    require_same_losses(losses, expected, ours, guidance)


def test_without_guidance_the_head_judges_for_itself() -> None:
    targets = random_targets(2, [5, 3], size_hw=SIZE_HW, classes=CLASSES)
    predictions = _predictions(2)
    losses = DynamicDistributionObjectiveConfig().build()(predictions, targets)
    require_same_losses(losses, _slow_losses(predictions, predictions, targets), predictions)


def test_without_objects_there_is_class_loss_only() -> None:
    targets = random_targets(0, [0, 0], size_hw=SIZE_HW, classes=CLASSES)
    losses = DynamicDistributionObjectiveConfig().build()(_predictions(2), targets, _predictions(2, seed=1))
    assert losses["class"].item() > 0
    assert losses["guidance_class"].item() > 0
    assert [losses[name].item() for name in losses if not name.endswith("class")] == [0, 0, 0, 0]


def test_weights_come_from_the_config_and_from_the_targets() -> None:
    targets, predictions = random_targets(3, [6], size_hw=SIZE_HW, classes=CLASSES), _predictions(1)
    plain = DynamicDistributionObjectiveConfig().build()(predictions, targets)
    config = DynamicDistributionObjectiveConfig(class_weight=3, box_weight=1, distribution_weight=0)
    other = config.build()(predictions, targets)
    assert other["class"].item() == pytest.approx(3 * plain["class"].item())
    assert other["box"].item() == pytest.approx(plain["box"].item() / 2)
    assert other["distribution"].item() == 0
    halved = dataclasses.replace(targets, weights=targets.weights / 2)
    half = DynamicDistributionObjectiveConfig().build()(predictions, halved)
    assert half["box"].item() == pytest.approx(plain["box"].item() / 2)


def test_the_divisor_of_the_classes_is_a_mean_over_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, predictions = random_targets(6, [6], size_hw=SIZE_HW, classes=CLASSES), _predictions(1)
    objective = DynamicDistributionObjectiveConfig().build()
    alone = objective(predictions, targets)
    monkeypatch.setattr(module, "shared_divisor", lambda value: value * 4)
    among_others = objective(predictions, targets)
    assert among_others["class"].item() == pytest.approx(alone["class"].item() / 4)


def test_full_precision_under_autocast() -> None:
    targets = random_targets(4, [5], size_hw=SIZE_HW, classes=CLASSES)
    require_full_precision_under_autocast(DynamicDistributionObjectiveConfig().build(), _predictions(1), targets)
