"""The convolutions of a network in the order in which they run: what files without names are read by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sanderling.models.network import DetectorConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvolutionStep:
    """A convolution and the BatchNorm that takes its output, by their names in the network."""

    name: str
    conv: nn.Conv2d
    norm_name: str | None
    norm: nn.BatchNorm2d | None


def convolutions_in_order(config: DetectorConfig) -> list[ConvolutionStep]:
    """Every convolution that runs, once, in order of its first run; the modules are on the meta device.

    >>> from sanderling.models import zoo
    >>> [step.name for step in convolutions_in_order(zoo.config("nanodet-m"))][:2]
    ['backbone.conv1.0', 'backbone.stage2.0.branch1.0']
    """
    with torch.device("meta"):
        network = config.build().eval()
        images = torch.zeros(1, 3, 2 * network.stride, 2 * network.stride)
    names = {module: name for name, module in network.named_modules()}
    order: dict[nn.Conv2d, nn.BatchNorm2d | None] = {}
    outputs: dict[int, tuple[nn.Conv2d, Tensor]] = {}

    def ran(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(module, nn.Conv2d) and module not in order:
            order[module] = None
            # The output is kept, so that no later tensor has its identity.
            outputs[id(output)] = (module, output)
        elif isinstance(module, nn.BatchNorm2d) and id(inputs[0]) in outputs:
            order[outputs[id(inputs[0])][0]] = module

    for module in names:
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            module.register_forward_hook(ran)
    with torch.no_grad():
        network(images)
    return [
        ConvolutionStep(name=names[conv], conv=conv, norm_name=None if norm is None else names[norm], norm=norm)
        for conv, norm in order.items()
    ]
