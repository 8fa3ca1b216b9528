from __future__ import annotations

import dataclasses

import pytest
import torch

from sanderling.models import zoo
from sanderling.objectives.anchor_ratio import YOLOV7_TINY
from sanderling.objectives.box_losses import loss_of_each_box
from sanderling.objectives.distribution import DistributionObjectiveConfig
from sanderling.objectives.dynamic_distribution import DynamicDistributionObjectiveConfig
from sanderling.objectives.fcos import FcosObjectiveConfig
from sanderling.objectives.ssd import SsdObjectiveConfig
from sanderling.objectives.yolo import YoloObjectiveConfig
from sanderling.structures.batch import Targets
from sanderling.training.detection import ObjectiveConfig
from tests.support.objectives import total
from tests.support.targets import random_targets
from tests.support.zoo import CLASSES, no_boxes, noise

SIZE_HW = (64, 96)
# A network for each objective, and the forms of the YOLO one that differ in their box losses.
CASES: dict[str, tuple[str, ObjectiveConfig]] = {
    "distribution": ("nanodet-debug", DistributionObjectiveConfig()),
    "dynamic_distribution": ("nanodet-debug", DynamicDistributionObjectiveConfig()),
    "fcos": ("fcos-debug", FcosObjectiveConfig()),
    "ssd": ("ssdlite-debug", SsdObjectiveConfig()),
    "anchor_ratio": ("yolov7-tiny-debug", YOLOV7_TINY),
    "yolo": ("yolov3-debug", YoloObjectiveConfig()),
    "yolo, CIoU alone": ("yolov3-debug", YoloObjectiveConfig.yolov4()),
    "yolo, IoU as well": ("yolov3-debug", YoloObjectiveConfig.ppyolo(match_iou=0.25)),
}


def _weighing(targets: Targets, weights: torch.Tensor) -> Targets:
    return dataclasses.replace(targets, weights=weights)


@pytest.mark.parametrize("case", CASES)
def test_each_box_has_what_is_left_when_the_others_hardly_weigh(case: str) -> None:
    torch.manual_seed(0)
    model, config = CASES[case]
    network, objective = zoo.config(model, CLASSES).build(), config.build()
    predictions = network(noise(3, SIZE_HW))
    targets = random_targets(1, [4, 0, 3], size_hw=SIZE_HW, classes=2, least_weight=0.3)
    weights = targets.weights.clone().requires_grad_()
    losses = objective(predictions, _weighing(targets, weights))
    found = loss_of_each_box(losses, weights, terms=objective.box_terms)
    assert not found.requires_grad

    names = [name for name in objective.box_terms if name in losses]
    assert names
    for box in range(7):
        # Not 0: a box without a weight leaves its points to others.
        alone = torch.full((7,), 1e-12)
        alone[box] = targets.weights[box]
        expected = sum(objective(predictions, _weighing(targets, alone))[name] for name in names)
        torch.testing.assert_close(found[box], torch.as_tensor(expected).detach(), rtol=1e-4, atol=1e-6)
    assert (found > 0).sum() >= 5  # others may have no point of their own
    together = torch.stack([losses[name] for name in names]).sum().detach()
    torch.testing.assert_close(found.sum(), together, rtol=1e-4, atol=1e-6)

    # The graph is whole afterwards, and the network learns what it would have learnt.
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    after = torch.autograd.grad(total(losses), learning, retain_graph=True, allow_unused=True)
    plain = objective(predictions, targets)
    expected_gradients = torch.autograd.grad(total(plain), learning, allow_unused=True)
    assert all(
        torch.equal(one, other)
        for one, other in zip(after, expected_gradients, strict=True)
        if one is not None and other is not None
    )


@pytest.mark.parametrize("case", CASES)
def test_without_boxes_there_is_nothing_to_divide(case: str) -> None:
    model, config = CASES[case]
    objective = config.build()
    weights = torch.zeros(0, requires_grad=True)
    losses = objective(zoo.config(model, CLASSES).build()(noise(2, SIZE_HW)), _weighing(no_boxes(2), weights))
    assert loss_of_each_box(losses, weights, terms=objective.box_terms).shape == (0,)


def test_an_objective_whose_form_has_no_box_losses() -> None:
    weights = torch.ones(3, requires_grad=True)
    terms = YoloObjectiveConfig().build().box_terms
    assert loss_of_each_box({"class": weights.sum()}, weights, terms=terms).tolist() == [0, 0, 0]
