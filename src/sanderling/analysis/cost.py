"""What a detector costs before it is trained: parameters and multiply-adds, by stage.

Multiply-adds (MACs) are those of convolutions, linear layers and attention products; normalisation, activations and
resizing are left out, as in the figures that papers state. Counted on the meta device: nothing is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sanderling.models.network import DetectorConfig, DetectorNetwork
from sanderling.structures.predictions import Predictions


@dataclass(frozen=True, kw_only=True, slots=True)
class StageCost:
    """One part of the network: a stage of the backbone, the neck or the head."""

    name: str
    parameters: int
    macs: int
    outputs: tuple[str, ...]
    """Shape of each output: channels x height x width of a map, points x numbers of predictions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """A whole network for one picture of one size; the stages sum to the totals."""

    size_hw: tuple[int, int]
    parameters: int
    macs: int
    stages: tuple[StageCost, ...]

    def part(self, name: str) -> StageCost:
        """A stage, or several that share a prefix summed: `part("backbone")`.

        Raises:
            ValueError: there is no such stage.
        """
        inside = [stage for stage in self.stages if stage.name == name or stage.name.startswith(name + ".")]
        if not inside:
            raise ValueError(f"no stage {name!r}; known: {', '.join(stage.name for stage in self.stages)}")
        return StageCost(
            name=name,
            parameters=sum(stage.parameters for stage in inside),
            macs=sum(stage.macs for stage in inside),
            outputs=inside[-1].outputs,
        )


def measure_cost(config: DetectorConfig, size_hw: tuple[int, int] | None = None) -> Cost:
    """Count parameters and multiply-adds of a detector.

    Args:
        config: the detector.
        size_hw: height and width of the network input; the detector's own by default.

    Raises:
        ModelError: the size is no multiple of the largest stride.

    >>> from sanderling.models import zoo
    >>> measure_cost(zoo.config("nanodet-m")).parameters
    959348
    """
    height, width = size_hw or config.picture.size_hw
    with torch.device("meta"):
        network = config.build().eval()
        images = torch.empty(1, 3, height, width)
    stages = dict(_stages(network))
    outputs: dict[str, tuple[str, ...]] = {}
    hooks = [
        stage.register_forward_hook(lambda _module, _inputs, output, name=name: outputs.update({name: _shapes(output)}))
        for name, stage in stages.items()
    ]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    counts = counter.get_flop_counts()
    root = type(network).__name__
    return Cost(
        size_hw=(height, width),
        parameters=_count_parameters(network),
        macs=counter.get_total_flops() // 2,
        stages=tuple(
            StageCost(
                name=name,
                parameters=_count_parameters(stage),
                macs=sum(counts.get(f"{root}.{name}", {}).values()) // 2,
                outputs=outputs.get(name, ()),
            )
            for name, stage in stages.items()
        ),
    )


def _stages(network: DetectorNetwork) -> Iterator[tuple[str, nn.Module]]:
    """Children of the backbone that have parameters, then the neck and the head."""
    for name, child in network.backbone.named_children():
        if _count_parameters(child):
            yield f"backbone.{name}", child
    yield "neck", network.neck
    yield "head", network.head


def _count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _shapes(output: Any) -> tuple[str, ...]:
    if isinstance(output, Predictions):
        points, classes = output.class_logits.shape[1:]
        return (f"{points}x{classes + output.box_logits.shape[2]}",)
    maps = output if isinstance(output, list | tuple) else [output]
    return tuple("x".join(str(side) for side in shape.shape[1:]) for shape in maps if isinstance(shape, Tensor))
