"""darknet's `.weights`: the numbers of all convolutions one after another, without names or shapes.

https://github.com/AlexeyAB/darknet. After a header of three integers and a counter of pictures (32 bits until version
0.1, 64 since), each convolution has its biases, with BatchNorm its scales, means and variances, and its weights. They
are given to the convolutions of our network in darknet's order, which is that in which ours run, but with each output
right after its level. A `.cfg` of the same name beside the file is held against the network, layer by layer.

BatchNorm adds 1e-5 to the variance here as in darknet. OpenCV's importer adds 1e-6 and finds slightly other boxes.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sanderling.errors import ModelError
from sanderling.models.heads.yolo import YoloHead
from sanderling.models.network import DetectorConfig, DetectorNetwork
from sanderling.models.weights.darknet_cfg import CfgConvolution, DarknetCfg, read_cfg
from sanderling.models.weights.run_order import ConvolutionStep, convolutions_in_order

_OUTPUT = "head.outputs."
_LARGEST_BYTES = 1 << 30


def read_darknet(path: Path, network: DetectorNetwork) -> dict[str, Tensor]:
    """The numbers of a `.weights` file under the names of a network; the network is not changed.

    Without a `.cfg` beside it, the file has to be for as many classes as the network.

    Raises:
        ModelError: the file is missing, cut off, too long or of another network; or the network's head is not one that
            darknet has.
    """
    if not isinstance(network.head, YoloHead) or network.head.iou_aware or network.head.implicit:
        raise ModelError(
            f"{path}: darknet files hold YOLO heads without IoU outputs and implicit knowledge; {network.config.name} "
            "has another head"
        )
    numbers = _numbers(path)
    config, steps = _expected(path, network.config, network.head)
    expected = sum(_count(step) for step in steps)
    if len(numbers) != expected:
        difference = f"{abs(len(numbers) - expected):,} too {'few' if len(numbers) < expected else 'many'}"
        raise ModelError(
            f"{path}: {len(numbers):,} numbers are in the file, {config.name} with {len(config.class_names)} classes "
            f"has {expected:,}: {difference}; it is cut off, or of another model or number of classes (a .cfg beside "
            "it says which)"
        )
    tensors: dict[str, Tensor] = {}
    for step in steps:
        taken = _count(step)
        found = _tensors(step, numbers[:taken])
        numbers = numbers[taken:]
        variance = found.get(f"{step.norm_name}.running_var", torch.zeros(1))
        if not all(tensor.isfinite().all() for tensor in found.values()) or (variance < 0).any():
            raise ModelError(
                f"{path}: the numbers for {step.name} are not finite or give a negative variance; the file is damaged, "
                f"or it is no {config.name}"
            )
        tensors |= found
    return tensors


def darknet_order(config: DetectorConfig) -> list[ConvolutionStep]:
    """The convolutions of a YOLO detector as darknet has them; the modules are on the meta device."""
    steps = convolutions_in_order(config)
    outputs = {step.name: step for step in steps if step.name.startswith(_OUTPUT)}
    ordered = [step for step in steps if step.name not in outputs]
    for level, needed in enumerate(_needed_by_level(config)):
        last = max(index for index, step in enumerate(ordered) if f"{step.name}.weight" in needed)
        ordered.insert(last + 1, outputs[f"{_OUTPUT}{level}"])
    return ordered


def _expected(path: Path, config: DetectorConfig, head: YoloHead) -> tuple[DetectorConfig, list[ConvolutionStep]]:
    """What the file should hold: the network's convolutions, for as many classes as the cfg beside it says."""
    cfg_path = path.with_suffix(".cfg")
    if not cfg_path.is_file():
        return config, darknet_order(config)
    cfg = read_cfg(cfg_path)
    if (classes := cfg.yolos[0].classes) != len(config.class_names):
        config = config.with_classes([f"class-{number}" for number in range(classes)])
    steps = darknet_order(config)
    _compare(cfg, steps, head, path=cfg_path, model=config.name)
    return config, steps


def _needed_by_level(config: DetectorConfig) -> list[set[str]]:
    """For each map of the neck the parameters that it depends on."""
    with torch.device("meta"):
        network = config.build()
        images = torch.zeros(2, 3, 2 * network.stride, 2 * network.stride)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return [_parameters_behind(x, names) for x in network.features(images).neck]


def _parameters_behind(x: Tensor, names: dict[int, str]) -> set[str]:
    """Names of all parameters in the graph that led to a tensor."""
    found, seen, ahead = set(), set(), [x.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if (parameter := getattr(node, "variable", None)) is not None:
            found.add(names[id(parameter)])
        ahead.extend(before for before, _ in node.next_functions)
    return found


def _numbers(path: Path) -> NDArray[np.float32]:
    """All numbers behind the header."""
    if not path.is_file():
        raise ModelError(f"{path}: no such weights file")
    if path.stat().st_size > _LARGEST_BYTES:
        raise ModelError(f"{path}: is larger than {_LARGEST_BYTES >> 20} MiB, which no detector of darknet is")
    content = path.read_bytes()
    if len(content) < 16:
        raise ModelError(f"{path}: is no darknet file: it has {len(content)} bytes, the header alone has 16 or 20")
    major, minor, _ = struct.unpack("<3i", content[:12])
    if not (0 <= major < 1000 and 0 <= minor < 1000):
        raise ModelError(f"{path}: is no darknet file: its header says version {major}.{minor}; 0.1 or 0.2 is expected")
    header = 20 if 10 * major + minor >= 2 else 16
    if (len(content) - header) % 4:
        raise ModelError(f"{path}: is cut off: {len(content) - header} bytes follow the header, no multiple of four")
    return np.frombuffer(content, "<f4", offset=header)


def _count(step: ConvolutionStep) -> int:
    return step.conv.weight.numel() + step.conv.out_channels * (1 if step.norm is None else 4)


def _tensors(step: ConvolutionStep, numbers: NDArray[np.float32]) -> dict[str, Tensor]:
    """Cut the numbers of one convolution into its tensors."""
    names = [f"{step.name}.bias"]
    if step.norm is not None:
        names = [f"{step.norm_name}.{name}" for name in ("bias", "weight", "running_mean", "running_var")]
    width = step.conv.out_channels
    values = torch.from_numpy(numbers.astype(np.float32))  # a copy that may be written to
    tensors = {name: values[index * width : (index + 1) * width].clone() for index, name in enumerate(names)}
    return {**tensors, f"{step.name}.weight": values[len(names) * width :].view(step.conv.weight.shape).clone()}


def _compare(cfg: DarknetCfg, steps: list[ConvolutionStep], head: YoloHead, *, path: Path, model: str) -> None:
    """Hold a cfg against a network and name the first difference."""
    for theirs, step in zip(cfg.convolutions, steps, strict=False):
        if (difference := _difference(theirs, step)) is not None:
            raise ModelError(f"{path}: is no {model}: layer {theirs.layer}, {step.name} in the model, has {difference}")
    if len(cfg.convolutions) != len(steps):
        raise ModelError(f"{path}: is no {model}: it has {len(cfg.convolutions)} convolutions, the model {len(steps)}")
    levels = [int(step.name.removeprefix(_OUTPUT)) for step in steps if step.name.startswith(_OUTPUT)]
    if len(cfg.yolos) != len(levels):
        raise ModelError(
            f"{path}: is no {model}: it has {len(cfg.yolos)} [yolo] layers, the model {len(levels)} levels"
        )
    for level, yolo in zip(levels, cfg.yolos, strict=True):
        scale = float(head.coding.scales(torch.tensor(float(head.strides[level]))))
        pairs = {
            "anchors": (_listed(yolo.anchors), _listed(head.anchors[level])),
            "scale_x_y": (f"{yolo.scale_xy:g}", f"{scale:g}"),
            "classes": (str(yolo.classes), str(cfg.yolos[0].classes)),
        }
        for key, (theirs_said, expected) in pairs.items():
            if theirs_said != expected:
                raise ModelError(
                    f"{path}: layer {yolo.layer} has {key} {theirs_said}, level {level} of {model} has {expected}; "
                    "boxes would be wrong"
                )


def _difference(theirs: CfgConvolution, step: ConvolutionStep) -> str | None:
    conv = step.conv
    pairs = {
        "filters": (theirs.filters, conv.out_channels),
        "size": (theirs.size, conv.kernel_size[0]),
        "stride": (theirs.stride, conv.stride[0]),
        "groups": (theirs.groups, conv.groups),
        "batch_normalize": (int(theirs.batch_normalize), int(step.norm is not None)),
    }
    return next((f"{key} {one}, {two} is expected" for key, (one, two) in pairs.items() if one != two), None)


def _listed(anchors: tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{width:g},{height:g}" for width, height in anchors)
