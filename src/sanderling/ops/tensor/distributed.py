"""What is computed over the processes of a distributed run: sums that a loss needs, and maxima."""

from __future__ import annotations

from torch import Tensor
from torch import distributed as dist


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a detached scalar over all processes; the value itself in a run of one process."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def maximum_over_processes(value: Tensor) -> Tensor:
    """The largest over all processes, number by number; the value itself in a run of one process."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return value
    largest = value.detach().clone()
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return largest
