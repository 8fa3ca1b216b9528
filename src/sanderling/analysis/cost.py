"""What a detector costs before it is trained: parameters and multiply-adds, by stage.

Multiply-adds (MACs) are those of convolutions, linear layers and attention products; normalisation, activations and
resizing are left out, as in the figures that papers state. A deformable convolution counts as an ordinary one. They are
counted while the network runs on torch's meta device, where tensors have shapes and no numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

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
    stages = dict(_stages(network))
    macs = dict.fromkeys(stages, 0)
    outputs: dict[str, tuple[str, ...]] = {}
    counter = _Multiplications()

    def begin(name: str) -> None:
        macs[name] -= counter.total

    def end(name: str, output: Any) -> None:
        macs[name] += counter.total
        outputs[name] = _shapes(output)

    for name, stage in stages.items():
        stage.register_forward_pre_hook(lambda _module, _inputs, name=name: begin(name))
        stage.register_forward_hook(lambda _module, _inputs, output, name=name: end(name, output))
    with counter, torch.inference_mode():
        network(torch.zeros(1, 3, height, width, device="meta"))
    return Cost(
        size_hw=(height, width),
        parameters=_count_parameters(network),
        macs=counter.total,
        stages=tuple(
            StageCost(name=name, parameters=_count_parameters(stage), macs=macs[name], outputs=outputs.get(name, ()))
            for name, stage in stages.items()
        ),
    )


def count_multiplications(network: nn.Module, size_hw: tuple[int, int]) -> int:
    """Multiply-adds of a network on torch's meta device for one picture (1, 3, height, width)."""
    counter = _Multiplications()
    with counter, torch.inference_mode():
        network(torch.zeros(1, 3, *size_hw, device="meta"))
    return counter.total


class _Multiplications(TorchFunctionMode):
    """Sums the multiply-adds of the products that run under it; a test holds it to torch's own counter."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in _BY_WEIGHT or str(func) == _DEFORMABLE:
            # One row of the weight goes into every number of the output.
            self.total += output.numel() * args[1][0].numel()
        elif func is F.conv_transpose2d:
            self.total += args[0].numel() * args[1][0].numel()
        elif func in _BY_MATRIX:
            self.total += output.numel() * args[0].shape[-1]
        elif func is F.scaled_dot_product_attention:
            query, key = args[:2]
            self.total += (query.numel() + output.numel()) * key.shape[-2]
        return output


_DEFORMABLE = "torchvision.deform_conv2d"
_BY_WEIGHT = frozenset({F.conv1d, F.conv2d, F.conv3d, F.linear})
_BY_MATRIX = frozenset({torch.matmul, torch.mm, torch.bmm, Tensor.matmul, Tensor.mm, Tensor.bmm, Tensor.__matmul__})


def _stages(network: DetectorNetwork) -> Iterator[tuple[str, nn.Module]]:
    """Children of the backbone that have parameters, then the neck and the head."""
    for name, child in network.backbone.named_children():
        # A list is never called itself; its members are.
        listed = child.named_children() if isinstance(child, nn.ModuleList) else [("", child)]
        for number, part in listed:
            if _count_parameters(part):
                yield f"backbone.{name}.{number}".rstrip("."), part
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
