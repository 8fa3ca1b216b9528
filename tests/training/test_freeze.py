from __future__ import annotations

import pytest
import torch

from sanderling.errors import UsageError
from sanderling.models.zoo.nanodet import nanodet_debug
from sanderling.training.detection import DetectionTask, DetectionTaskConfig
from sanderling.training.freeze import frozen_modules
from tests.support.training import random_batch


def _task(choice: str | int | None) -> DetectionTask:
    torch.manual_seed(0)
    return DetectionTaskConfig(freeze=choice).build(nanodet_debug(("a", "b")).build())


@pytest.mark.parametrize("choice", [None, 0, "0", ""])
def test_nothing_is_frozen(choice: str | int | None) -> None:
    assert all(parameter.requires_grad for parameter in _task(choice).parameters())


@pytest.mark.parametrize(
    ("choice", "prefixes"),
    [
        ("backbone", ("network.backbone.",)),
        (1, ("network.backbone.conv1.",)),
        ("2", ("network.backbone.conv1.", "network.backbone.stage2.")),
        (4, ("network.backbone.",)),
    ],
)
def test_frozen_parts_keep_weights_and_statistics(choice: str | int, prefixes: tuple[str, ...]) -> None:
    task = _task(choice).train()
    before = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    optimizer = torch.optim.SGD([parameter for parameter in task.parameters() if parameter.requires_grad], lr=0.1)
    torch.stack(list(task(random_batch()).values())).sum().backward()
    optimizer.step()
    for name, parameter in task.named_parameters():
        assert (parameter.grad is None) == name.startswith(prefixes), name
    after = task.state_dict()
    for name, tensor in before.items():
        if "running_" in name or name.endswith("num_batches_tracked"):
            assert torch.equal(tensor, after[name]) == name.startswith(prefixes), name
        elif name.startswith(prefixes):
            assert torch.equal(tensor, after[name]), name


def test_frozen_parts_stay_frozen_after_validation() -> None:
    task = _task("backbone")
    task.eval()
    task.train()
    assert not task.network.backbone.training
    assert task.network.head.training


@pytest.mark.parametrize("choice", ["neck", 5, -1, "1.5"])
def test_unknown_choice_names_what_there_is(choice: str | int) -> None:
    with pytest.raises(UsageError, match=r"freeze = .*'backbone' or 1\.\.4 \(conv1, stage2, stage3, stage4\)"):
        frozen_modules(nanodet_debug(("a",)).build(), choice)
