"""Small networks whose weights and statistics are no longer those of a fresh one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sanderling.models import zoo
from sanderling.models.network import DetectorNetwork


def trained_like(class_names: Sequence[str] = ("fire", "smoke", "crane"), *, seed: int = 0) -> DetectorNetwork:
    """A debug network with every tensor of its state drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    network = zoo.config("nanodet-debug", class_names).build()
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
    return network.eval()
