"""What is computed over the processes of a distributed run: sums that a loss needs, and maxima."""

from __future__ import annotations

from torch import Tensor
from torch import distributed as dist


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of a detached tensor over all processes; the value itself in a run of one process."""
    if processes() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a detached tensor over all processes; the value itself in a run of one process."""
    return value if processes() == 1 else sum_over_processes(value) / processes()


def maximum_over_processes(value: Tensor) -> Tensor:
    """The largest over all processes, number by number; the value itself in a run of one process."""
    if processes() == 1:
        return value
    largest = value.detach().clone()
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return largest
