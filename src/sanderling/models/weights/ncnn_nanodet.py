"""NanoDet's published ncnn files: BatchNorm is folded in, names are gone, pictures are BGR."""

from __future__ import annotations

from collections.abc import Sequence, Set

import torch
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.heads.distribution import DistributionHeadConfig
from sanderling.models.network import DetectorNetwork
from sanderling.models.weights.folded_batchnorm import folded_state
from sanderling.models.weights.ncnn_file import NcnnConvolution
from sanderling.models.weights.run_order import ConvolutionStep, convolutions_in_order


def from_ncnn(convolutions: Sequence[NcnnConvolution], network: DetectorNetwork, *, source: str) -> dict[str, Tensor]:
    """The convolutions of a file under our names, matched in the order in which they run, for RGB.

    Convolutions that never run (NanoDet-m's unused box outputs) are not in such files; they become zero.

    Raises:
        ModelError: the network is no NanoDet, or it runs other convolutions than the file has.
    """
    config = network.config
    if not isinstance(config.head, DistributionHeadConfig):
        raise ModelError(
            f"{source}: ncnn files are read for NanoDet only; {config.name!r} has a {config.head.kind} head"
        )
    steps, outputs = convolutions_in_order(config), network.class_rows()
    if len(steps) != len(convolutions):
        raise ModelError(
            f"{source}: is no {config.name}: it has {len(convolutions)} convolutions, {len(steps)} are expected"
        )
    tensors: dict[str, Tensor] = {}
    for step, theirs in zip(steps, convolutions, strict=True):
        rows = outputs.get(step.name)
        classes_fit = rows is not None and rows.classes(len(theirs.weight)) is not None
        ours = _form(step.conv.weight, step.conv.stride, step.conv.groups)
        found = _form(theirs.weight, theirs.stride, theirs.groups)
        if found[1:] != ours[1:] or not (classes_fit or found[0] == ours[0]):
            raise ModelError(
                f"{source}: is no {config.name}: its {theirs.name!r} is a convolution {_words(found)}, "
                f"{step.name} is one {_words(ours)}"
            )
        tensors |= _tensors(step, theirs, source=source)
    first = f"{steps[0].name}.weight"
    tensors[first] = tensors[first].flip(1)
    return tensors | _never_run(network, {step.name for step in steps})


def _tensors(step: ConvolutionStep, theirs: NcnnConvolution, *, source: str) -> dict[str, Tensor]:
    """One convolution, with its bias in itself or in the BatchNorm behind it."""
    tensors = {f"{step.name}.weight": theirs.weight}
    bias = torch.zeros(len(theirs.weight)) if theirs.bias is None else theirs.bias
    if step.norm is not None and step.norm_name is not None:
        return tensors | folded_state(step.norm_name, step.norm, bias)
    if step.conv.bias is not None:
        return tensors | {f"{step.name}.bias": bias}
    if bias.any():
        raise ModelError(f"{source}: its {theirs.name!r} has a bias, {step.name} has no place for one")
    return tensors


def _never_run(network: DetectorNetwork, run: Set[str]) -> dict[str, Tensor]:
    """Zeros for the convolutions that the forward pass leaves out."""
    return {
        f"{name}.{key}": torch.zeros_like(tensor)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and name not in run
        for key, tensor in module.state_dict().items()
    }


def _form(weight: Tensor, stride: tuple[int, ...], groups: int) -> tuple[int, ...]:
    """Outputs, inputs of a group, kernel, stride and groups."""
    return (*weight.shape, *stride, groups)


def _words(form: tuple[int, ...]) -> str:
    outputs, inputs, height, width, *stride, groups = form
    return f"{outputs}x{inputs}x{height}x{width}, stride {'x'.join(map(str, stride))}, {groups} groups"
