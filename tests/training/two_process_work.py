"""What the tests of this folder do in two connected processes; run once for all of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sanderling.models.zoo.nanodet import nanodet_m
from sanderling.training.detection import DetectionTask, DetectionTaskConfig
from sanderling.training.sync_batchnorm import synchronise_batchnorm
from tests.support.training import cpu_runtime, part_of, random_batch

SPLITS = {"equal": (3, 3), "unequal": (5, 1)}
SHARED_BATCH_SIZE = 4


def everything(rank: int) -> dict[str, Any]:
    """All of it, in one dict."""
    return {**batchnorm(rank), **task(rank), **exchange(rank)}


def layer() -> nn.BatchNorm2d:
    """A layer whose scale, shift and statistics are not the initial ones."""
    torch.manual_seed(1)
    made = nn.BatchNorm2d(4, momentum=0.3)
    nn.init.normal_(made.weight)
    nn.init.normal_(made.bias)
    return made


def joined_input(kind: str) -> tuple[Tensor, Tensor]:
    """All pictures of both processes, far from mean 0, and the gradient that comes back to them."""
    torch.manual_seed(2)
    count = sum(SPLITS[kind])
    return torch.randn(count, 4, 5, 7) * torch.tensor([0.5, 1, 3, 10]).view(4, 1, 1) + 4, torch.randn(count, 4, 5, 7)


def batchnorm(rank: int) -> dict[str, Any]:
    """One layer on each process's share."""
    found: dict[str, Any] = {}
    for kind, counts in SPLITS.items():
        x, gradient = (whole.split(counts)[rank] for whole in joined_input(kind))
        x = x.clone().requires_grad_()
        synchronised = synchronise_batchnorm(nn.Sequential(layer()), on_cuda=False).train()
        y = synchronised(x)
        y.backward(gradient)
        found |= {f"{kind}/{name}": tensor for name, tensor in _outcome(synchronised, x, y).items()}
    half = synchronise_batchnorm(nn.Sequential(layer()), on_cuda=False).train()
    found["bfloat16"] = half(joined_input("equal")[0].split(SPLITS["equal"])[rank].bfloat16())
    return found


def _outcome(module: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    assert x.grad is not None
    gradients = {f"gradient/{name}": parameter.grad for name, parameter in module.named_parameters()}
    return {"y": y.detach(), "x_gradient": x.grad, **dict(module.named_buffers()), **gradients}  # type: ignore[dict-item]


def detection_task(*, synchronised: bool) -> DetectionTask:
    """NanoDet-m itself, with the parameters that nothing uses; so confident that no divisor is raised to 1."""
    torch.manual_seed(4)
    network = nanodet_m(("a", "b")).build()
    for output in network.head.get_submodule("gfl_cls").children():
        nn.init.zeros_(output.get_parameter("bias"))
    if synchronised:
        synchronise_batchnorm(network, on_cuda=False)
    return DetectionTaskConfig().build(network)


def task(rank: int) -> dict[str, Any]:
    """Two steps of a whole task under DistributedDataParallel with each process's half of a batch."""
    learning = detection_task(synchronised=True)
    module = cpu_runtime().distribute(learning).train()
    half = SHARED_BATCH_SIZE // 2
    found: dict[str, Any] = {}
    for step in range(2):
        learning.zero_grad()
        losses = module(part_of(random_batch(SHARED_BATCH_SIZE, seed=step), slice(rank * half, (rank + 1) * half)))
        torch.stack(list(losses.values())).sum().backward()
        found |= {f"loss{step}/{name}": loss.detach() for name, loss in losses.items()}
        found |= {
            f"task{step}/{name}": parameter.grad
            for name, parameter in learning.named_parameters()
            if parameter.grad is not None
        }
    return found


def exchange(rank: int) -> dict[str, Any]:
    """Values to all processes, and the first one's buffers."""
    runtime = cpu_runtime()
    buffers = nn.BatchNorm2d(2)
    with torch.no_grad():
        for buffer in buffers.buffers():
            buffer.fill_(rank + 1)
    runtime.share_buffers(buffers)
    return {
        "gathered": runtime.gather({"rank": rank}),
        "is_main": runtime.is_main,
        "shared": [float(buffer.sum()) for buffer in buffers.buffers()],
    }
