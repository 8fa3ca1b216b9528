from __future__ import annotations

import pytest
import torch

from sanderling.errors import UsageError
from sanderling.models.zoo.nanodet import nanodet_debug
from sanderling.objectives.distribution import DistributionObjectiveConfig
from sanderling.training.detection import DetectionTaskConfig
from sanderling.training.task import Task
from tests.support.training import random_batch


def test_losses_are_those_of_the_objective_on_the_network() -> None:
    torch.manual_seed(0)
    network = nanodet_debug(("a", "b")).build().eval()
    batch = random_batch(3, size_hw=(96, 64))
    objective = DistributionObjectiveConfig(box_weight=3.0)
    task = DetectionTaskConfig(objective=objective).build(network).eval()
    losses = task(batch)
    expected = objective.build()(network(batch.images), batch.targets)
    assert losses.keys() == expected.keys() == {"class", "box", "distribution"}
    for name, loss in losses.items():
        assert torch.equal(loss, expected[name])


def test_pictures_without_boxes_teach_the_classes_only() -> None:
    task = DetectionTaskConfig().build(nanodet_debug(("a", "b")).build()).train()
    losses = task(random_batch(2, boxes=0))
    assert losses["class"] > 0
    assert losses["box"] == losses["distribution"] == 0
    torch.stack(list(losses.values())).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in task.parameters() if parameter.grad is not None)


def test_every_parameter_gets_a_gradient() -> None:
    task = DetectionTaskConfig().build(nanodet_debug(("a", "b")).build()).train()
    torch.stack(list(task(random_batch(2)).values())).sum().backward()
    assert [name for name, parameter in task.named_parameters() if parameter.grad is None] == []


def test_what_ships_is_the_network_alone() -> None:
    network = nanodet_debug(("a",)).build()
    task = DetectionTaskConfig().build(network)
    assert isinstance(task, Task)
    assert task.network is network
    assert all(name.startswith("network.") for name in task.state_dict())


def test_a_wrong_freeze_is_refused_when_the_task_is_built() -> None:
    with pytest.raises(UsageError, match="freeze = 'head'"):
        DetectionTaskConfig(freeze="head").build(nanodet_debug(("a",)).build())
