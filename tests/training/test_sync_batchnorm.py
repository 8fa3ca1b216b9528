from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sanderling.training.sync_batchnorm import CpuSyncBatchNorm2d, synchronise_batchnorm
from tests.support.training import random_batch
from tests.training.two_process_work import SHARED_BATCH_SIZE, SPLITS, detection_task, joined_input, layer, twenty_steps


@pytest.mark.parametrize("kind", SPLITS)
def test_equals_batchnorm_on_the_joined_batch(two_processes: list[dict[str, Any]], kind: str) -> None:
    x, gradient = joined_input(kind)
    x.requires_grad_()
    joined = nn.Sequential(layer()).train()
    y = joined(x)
    y.backward(gradient)
    assert x.grad is not None

    def both(name: str) -> list[torch.Tensor]:
        return [found[f"{kind}/{name}"] for found in two_processes]

    torch.testing.assert_close(torch.cat(both("y")), y.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.cat(both("x_gradient")), x.grad, rtol=1e-5, atol=1e-5)
    for name, buffer in joined.named_buffers():
        for found in both(name):
            torch.testing.assert_close(found, buffer, rtol=1e-5, atol=1e-5)
    for name, parameter in joined.named_parameters():
        first, second = both(f"gradient/{name}")
        assert parameter.grad is not None
        torch.testing.assert_close(first + second, parameter.grad, rtol=1e-5, atol=1e-4)


def test_sums_are_taken_in_full_precision(two_processes: list[dict[str, Any]]) -> None:
    expected = layer().train()(joined_input("equal")[0].bfloat16().float())
    found = torch.cat([found["bfloat16"] for found in two_processes])
    assert found.dtype == torch.bfloat16
    # One rounding of the result, and none of the statistics.
    torch.testing.assert_close(found.float(), expected, rtol=2**-8, atol=1e-3)


def test_a_task_in_two_processes_learns_as_from_the_joined_batch(two_processes: list[dict[str, Any]]) -> None:
    task = detection_task(synchronised=False).train()
    for step in range(2):
        task.zero_grad()
        losses = task(random_batch(SHARED_BATCH_SIZE, seed=step))
        torch.stack(list(losses.values())).sum().backward()
        for name, loss in losses.items():
            mean = (two_processes[0][f"loss{step}/{name}"] + two_processes[1][f"loss{step}/{name}"]) / 2
            torch.testing.assert_close(mean, loss.detach(), rtol=1e-4, atol=1e-5)
    compared = 0
    for name, parameter in task.named_parameters():
        if parameter.grad is None:
            continue
        compared += 1
        for found in two_processes:
            difference = (found[f"task1/{name}"] - parameter.grad).norm()
            assert difference <= 1e-3 * parameter.grad.norm() + 1e-6, name
    assert compared > 100


@pytest.mark.parametrize(("kind", "tolerance"), [("still", 1e-5), ("still, accumulated", 1e-5), ("learning", 1e-4)])
def test_twenty_steps_of_two_processes_are_those_of_one_with_the_double_batch(
    two_processes: list[dict[str, Any]], kind: str, tolerance: float
) -> None:
    expected = twenty_steps(batchnorm=kind.partition(",")[0], parts=[slice(None)])
    found = (two_processes[0][kind] + two_processes[1][kind]) / 2
    assert expected.shape == (20, 4)
    # It learns: the same four batches at the beginning and at the end.
    assert expected[-4:, -1].mean() < expected[:4, -1].mean() - 0.005
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


def test_alone_it_is_batchnorm() -> None:
    x = torch.randn(3, 4, 5, 7)
    network = nn.Sequential(layer())
    keys = list(network.state_dict())
    synchronised = synchronise_batchnorm(network, on_cuda=False)
    assert isinstance(network[0], CpuSyncBatchNorm2d)
    assert list(synchronised.state_dict()) == keys
    assert torch.equal(synchronised.train()(x), layer().train()(x))


def test_on_cuda_torch_does_it_with_the_same_keys() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), layer())
    keys = list(network.state_dict())
    converted = synchronise_batchnorm(network, on_cuda=True)
    assert any(isinstance(module, nn.SyncBatchNorm) for module in converted.modules())
    assert list(converted.state_dict()) == keys
