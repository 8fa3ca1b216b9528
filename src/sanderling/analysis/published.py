"""A detector or backbone of the zoo counted as its authors counted it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from sanderling.analysis.cost import count_multiplications
from sanderling.models.zoo.backbones import BackboneEntry, classifier
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
    with torch.device("meta"):
        network = config.build().eval()
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    norms = 0 if entry.counts_norms else _norms(network)
    return Counted(
        parameters=sum(sizes.values())
        - _starting_with(entry.uncounted_parameters, sizes)
        - norms
        + (_statistics(network) if entry.counts_statistics else 0),
        unused_parameters=_starting_with(entry.unused_parameters, sizes),
        macs=count_multiplications(network, config.picture.size_hw),
    )


def count_backbone(entry: BackboneEntry) -> Counted:
    """Count a backbone at its own input size, with the classification layer where it has classes."""
    with torch.device("meta"):
        network = entry.config.build() if entry.classes is None else classifier(entry.config, entry.classes)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Counted(
        parameters=parameters - (0 if entry.counts_affine else _norms(network)),
        unused_parameters=0,
        macs=count_multiplications(network.eval(), entry.size_hw),
    )


def _starting_with(prefixes: tuple[str, ...], sizes: Mapping[str, int]) -> int:
    return sum(size for name, size in sizes.items() if name.startswith(prefixes))


def _norms(network: nn.Module) -> int:
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    return sum(parameter.numel() for norm in norms for parameter in norm.parameters())


def _statistics(network: nn.Module) -> int:
    return sum(
        buffer.numel() for name, buffer in network.named_buffers() if name.endswith((".running_mean", ".running_var"))
    )
