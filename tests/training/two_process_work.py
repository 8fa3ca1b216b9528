"""What the tests of this folder do in two connected processes; run once for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sanderling.models.zoo.nanodet import nanodet_debug, nanodet_m
from sanderling.training.detection import DetectionTask, DetectionTaskConfig
from sanderling.training.loop import LoopConfig, fit
from sanderling.training.sync_batchnorm import synchronise_batchnorm
from tests.support.training import ListLoader, Watcher, cpu_runtime, part_of, random_batch, training_of

SPLITS = {"equal": (3, 3), "unequal": (5, 1)}
SHARED_BATCH_SIZE = 4


def everything(rank: int) -> dict[str, Any]:
    """All of it, in one dict."""
    return {**batchnorm(rank), **task(rank), **many_steps(rank), **exchange(rank)}


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
    """NanoDet-m itself, with the parameters that nothing uses; so little confident that divisors are raised to 1."""
    torch.manual_seed(4)
    network = nanodet_m(("a", "b")).build()
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


class StillTask(DetectionTask):
    """BatchNorm stays in evaluation: a batch is no more than its pictures."""

    def train(self, mode: bool = True) -> StillTask:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


def twenty_steps(*, batchnorm: str, parts: Sequence[slice], synchronised: bool = False) -> Tensor:
    """Losses of the first 20 steps of a run on parts of each of four batches, which come round in turn.

    Steps are small: in large ones a network of this size makes of the last bit of a weight a tenth of the loss, also
    in one process.

    Args:
        batchnorm: `still` or `learning`.
        parts: of the pictures of each batch, a step together.
        synchronised: BatchNorm is over all processes.

    Returns:
        (steps, losses), the last of them the total; means over the parts.
    """
    torch.manual_seed(5)
    network = nanodet_debug(("a", "b")).build()
    for output in network.head.get_submodule("gfl_cls").children():
        # Not sure of nothing, or twenty small steps would teach it nothing that can be seen.
        nn.init.constant_(output.get_parameter("bias"), -2.0)
    batches = [random_batch(SHARED_BATCH_SIZE, boxes=8, seed=step % 4) for step in range(20)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    # Statistics of real features, or all that were said would be biases.
    network.train()(batches[0].images)
    for norm in norms:
        norm.momentum = 0.1
    if synchronised:
        synchronise_batchnorm(network, on_cuda=False)
    kind = StillTask if batchnorm == "still" else DetectionTask
    losses = Losses()
    fit(
        training_of(kind(network, DetectionTaskConfig()), lr=0.0005, epochs=1, steps_per_epoch=20),
        ListLoader([part_of(batch, part) for batch in batches for part in parts]),
        config=LoopConfig(epochs=1, clip_norm=35.0, accumulate=len(parts)),
        runtime=cpu_runtime(),
        seed=0,
        validate=None,
        keep=lambda *_: None,
        observers=(losses,),
    )
    return torch.stack(losses.found).unflatten(0, (20, len(parts))).mean(1)


class Losses(Watcher):
    """Notes the losses of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def stepped(self, losses: Mapping[str, Tensor], *, pictures: int) -> None:
        self.found.append(torch.stack(list(losses.values())))


def many_steps(rank: int) -> dict[str, Any]:
    """A run with each process's half of every batch."""
    half = SHARED_BATCH_SIZE // 2
    mine = slice(rank * half, (rank + 1) * half)
    each = [slice(place, place + 1) for place in range(mine.start, mine.stop)]
    return {
        "still": twenty_steps(batchnorm="still", parts=[mine]),
        "still, accumulated": twenty_steps(batchnorm="still", parts=each),
        "learning": twenty_steps(batchnorm="learning", parts=[mine], synchronised=True),
    }


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
