"""A detector of the zoo counted as its authors counted it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from sanderling.analysis.cost import measure_cost
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.entry import ZooEntry


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """Parameters and multiply-adds by the rules of an entry, and of the parameters those that nothing uses."""

    parameters: int
    unused_parameters: int
    macs: int


def count_as_published(entry: ZooEntry) -> Counted:
    """Count an entry at its own input size: for the classes of the published figures, reparameterised branches merged.

    What an entry declares as not counted is left out, BatchNorm where it says so; BatchNorm's running statistics are
    counted where it says so.
    """
    config = entry.make([f"class-{number}" for number in range(entry.counted_classes)]).merged()
    cost = measure_cost(config)
    names = _named_sizes(config)
    left_out = sum(size for name, size in names.items() if name.startswith(entry.uncounted_parameters))
    if not entry.counts_norms:
        left_out += _norms(config)
    return Counted(
        parameters=cost.parameters - left_out + (_statistics(config) if entry.counts_statistics else 0),
        unused_parameters=sum(size for name, size in names.items() if name.startswith(entry.unused_parameters)),
        macs=cost.macs,
    )


def _named_sizes(config: DetectorConfig) -> dict[str, int]:
    with torch.device("meta"):
        return {name: parameter.numel() for name, parameter in config.build().named_parameters()}


def _norms(config: DetectorConfig) -> int:
    with torch.device("meta"):
        norms = [module for module in config.build().modules() if isinstance(module, nn.BatchNorm2d)]
    return sum(parameter.numel() for norm in norms for parameter in norm.parameters())


def _statistics(config: DetectorConfig) -> int:
    with torch.device("meta"):
        buffers = config.build().named_buffers()
    return sum(buffer.numel() for name, buffer in buffers if name.endswith((".running_mean", ".running_var")))
