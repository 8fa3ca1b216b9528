"""What the loop trains: a module that turns a batch into named losses and holds the network that ships.

A new method (distillation, sparsity, quantisation-aware training, a supernet) is a new task, not a second loop. It is a
module because DistributedDataParallel wraps modules: everything that learns has to be inside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from sanderling.models.network import DetectorNetwork
from sanderling.structures.batch import Batch


class Task(nn.Module, ABC):
    """A way of teaching a network.

    Args:
        network: what ships, without the modules that only teach.
    """

    means_over_pictures: bool = False
    """Whether the losses are means over the pictures of a batch, so that batches of equal size need not be joined."""

    def __init__(self, network: DetectorNetwork) -> None:
        super().__init__()
        self.network = network

    def begin_epoch(self, epoch: int) -> None:
        """Told the number of the epoch (from 0) before each one, also the first after resuming."""

    @abstractmethod
    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        """Weighted scalar losses by name; the loop minimises their sum."""
