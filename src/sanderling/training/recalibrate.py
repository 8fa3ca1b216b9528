"""Give BatchNorm that a file had folded in its statistics back, without changing what the network computes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sanderling.errors import UsageError
from sanderling.models.network import DetectorNetwork
from sanderling.models.weights.folded_batchnorm import Norm, folded_norms
from sanderling.ops.tensor.distributed import mean_over_processes
from sanderling.structures.batch import Batch

_BATCHES = 32


@dataclass(slots=True)
class _Moments:
    """Sums over pictures and places, per channel."""

    batches: int = 0
    mean: Tensor | float = 0.0
    square: Tensor | float = 0.0

    def add(self, x: Tensor) -> None:
        x = x.double()
        self.batches += 1
        self.mean = self.mean + x.mean((0, 2, 3))
        self.square = self.square + x.square().mean((0, 2, 3))


@torch.no_grad()
def recalibrate(network: DetectorNetwork, batches: Iterable[Batch]) -> int:
    """Measure what arrives at every folded BatchNorm, take it as statistics, and undo its effect in scale and bias.

    Args:
        network: on its device; in eval mode it gives the same predictions before and after.
        batches: pictures like those of the training, on the same device; the first few are enough. In a run of several
            processes each brings its own.

    Returns:
        How many BatchNorms got statistics.

    Raises:
        UsageError: there is something to measure and no picture.
    """
    norms = folded_norms(network)
    if not norms:
        return 0
    moments = {norm: _Moments() for norm in norms.values()}

    def arrived(norm: nn.Module, inputs: tuple[Any, ...]) -> None:
        moments[norm].add(inputs[0])  # type: ignore[index]

    hooks = [norm.register_forward_pre_hook(arrived) for norm in moments]
    was_training = network.training
    network.eval()
    try:
        for batch in itertools.islice(batches, _BATCHES):
            network(batch.images)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    for norm, found in moments.items():
        if not isinstance(found.mean, Tensor) or not isinstance(found.square, Tensor):
            raise UsageError(
                "task.folded_batchnorm = 'recalibrate': no training picture reaches the network, so there is nothing "
                "to measure; give it pictures, or set it to freeze"
            )
        mean = mean_over_processes(found.mean / found.batches)
        square = mean_over_processes(found.square / found.batches)
        _restore(norm, mean, (square - mean.square()).clamp(min=0))
    return len(moments)


def _restore(norm: Norm, mean: Tensor, variance: Tensor) -> None:
    """Statistics that change nothing: what they take away, scale and bias give back."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.bias.add_(norm.weight * mean)
    norm.weight.mul_((variance + norm.eps).sqrt())
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
