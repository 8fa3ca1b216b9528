"""BatchNorm over the joined batch of all processes.

On CUDA torch's own SyncBatchNorm is used. It refuses to run on CPU; here is one that does, on differentiable sums over
processes, equal to BatchNorm on the joined batch to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist


class CpuSyncBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose statistics in training are those of all processes together."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        if not self.training or not (dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(input)
        # In full precision, under autocast too: counts and sums outgrow bfloat16.
        x = input.float()
        count = x.new_full((1,), x.numel() / x.shape[1])
        sums = _over_processes(torch.cat((x.sum((0, 2, 3)), count)))
        total = sums[-1]
        mean = sums[:-1] / total
        # A second pass: the difference of two large squares would lose digits.
        variance = _over_processes((x - mean[:, None, None]).square().sum((0, 2, 3))) / total
        self._follow(mean.detach(), variance.detach(), total.detach())
        scale = torch.rsqrt(variance + self.eps)
        shift = -mean * scale
        if self.affine:
            scale, shift = scale * self.weight, shift * self.weight + self.bias
        return (x * scale[:, None, None] + shift[:, None, None]).to(input.dtype)

    def _follow(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Move the running statistics, the variance unbiased as in torch."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * count / (count - 1), share)


def synchronise_batchnorm(network: nn.Module, *, on_cuda: bool) -> nn.Module:
    """Give every BatchNorm2d of a network the statistics of all processes; keys stay the same."""
    if on_cuda:
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return converted
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = CpuSyncBatchNorm2d
    return network


def _over_processes(values: Tensor) -> Tensor:
    """The sum over all processes, through which gradients flow back to each of them."""
    summed: Tensor = _SumOverProcesses.apply(values)
    return summed


class _SumOverProcesses(torch.autograd.Function):
    """Every process's loss depends on the sum, so every process's gradient comes back to each summand."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        summed = values.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].clone()
        dist.all_reduce(summed)
        return summed
