from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling.errors import UsageError
from sanderling.models.weights.folded_batchnorm import folded_state
from sanderling.models.zoo.nanodet import nanodet_debug
from sanderling.models.zoo.nanodet_plus import nanodet_plus_debug
from sanderling.objectives.distribution import DistributionObjectiveConfig
from sanderling.objectives.dynamic_distribution import DynamicDistributionObjectiveConfig
from sanderling.training.detection import DetectionTask, DetectionTaskConfig
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


def test_folded_batchnorm_keeps_its_statistics_and_still_learns() -> None:
    torch.manual_seed(0)
    network = nanodet_debug(("a", "b")).build()
    folded, other = "backbone.conv1.1", "backbone.stage2.0.branch1.1"
    norm = network.get_submodule(folded)
    assert isinstance(norm, nn.BatchNorm2d)
    network.load_state_dict(folded_state(folded, norm, torch.ones(norm.num_features)), strict=False)
    task = DetectionTaskConfig().build(network)
    for _ in range(2):
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        torch.stack(list(task.train()(random_batch()).values())).sum().backward()
        after = network.state_dict()
        for part in ("running_mean", "running_var"):
            assert torch.equal(before[f"{folded}.{part}"], after[f"{folded}.{part}"])
            assert not torch.equal(before[f"{other}.{part}"], after[f"{other}.{part}"])
        task.eval()
    assert norm.bias.grad is not None
    assert norm.bias.grad.any()


def _guided(*, seed: int = 0) -> DetectionTask:
    torch.manual_seed(seed)
    network = nanodet_plus_debug(("a", "b")).build()
    return DetectionTaskConfig(objective=DynamicDistributionObjectiveConfig()).build(network)


def test_a_guidance_learns_beside_the_network_and_does_not_ship() -> None:
    task, batch = _guided().train(), random_batch(2, size_hw=(96, 160))
    losses = task(batch)
    names = {"class", "box", "distribution"}
    assert losses.keys() == names | {f"guidance_{name}" for name in names}
    torch.stack(list(losses.values())).sum().backward()
    assert [name for name, parameter in task.named_parameters() if parameter.grad is None] == []
    assert any(name.startswith("guidance.") for name in task.state_dict())
    assert not any("guidance" in name or "aux" in name for name in task.network.state_dict())


def test_the_guidance_judges_for_the_network() -> None:
    task, batch = _guided().eval(), random_batch(2, size_hw=(96, 160))
    assert task.guidance is not None
    features = task.network.features(batch.images)
    predictions = task.network.predict(features)
    guidance = task.guidance(features.backbone, features.neck, predictions, epoch=0)
    expected = DynamicDistributionObjectiveConfig().build()(predictions, batch.targets, guidance)
    for name, loss in task(batch).items():
        assert torch.equal(loss, expected[name]), name


def test_the_epoch_decides_whether_the_network_learns_from_the_guidances_losses() -> None:
    task, batch = _guided().train(), random_batch(2, size_hw=(96, 160))
    reached = []
    for epoch in (9, 10):
        task.zero_grad()
        task.begin_epoch(epoch)
        torch.stack([loss for name, loss in task(batch).items() if name.startswith("guidance_")]).sum().backward()
        reached.append([parameter.grad is not None for parameter in task.network.backbone.parameters()])
    assert all(reached[0])
    assert not any(reached[1])


def test_a_guidance_needs_an_objective_that_it_can_guide() -> None:
    with pytest.raises(UsageError, match=r"auxiliary = 'guidance'.*objective\.kind to dynamic_distribution"):
        DetectionTaskConfig(objective=DistributionObjectiveConfig()).build(nanodet_plus_debug(("a",)).build())
