"""Small networks whose weights and statistics are no longer those of a fresh one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

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


def normal_network(name: str, class_names: Sequence[str] = ("fire", "smoke", "crane")) -> DetectorNetwork:
    """A network whose BatchNorm is that of a trained one and whose outputs stay within the range of a trained one."""
    torch.manual_seed(0)
    network = zoo.config(name, class_names).build().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            module.get_buffer("running_mean").normal_(std=0.2)
            module.get_buffer("running_var").uniform_(0.5, 1.5)
    return network
