"""darknet layer by layer: a slow reading of a cfg, to hold our networks and our reader of weights against.

A network is written one layer a line, which `cfg_text` spells out:

    conv FILTERS SIZE STRIDE ACTIVATION [groups=N] [plain]    plain: no BatchNorm
    route N[,N...] | half | pool SIZE STRIDE | up | add FROM ACTIVATION | drop SHARE | yolo MASK SCALE
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Section = tuple[str, dict[str, str]]


def sections_of(lines: str, *, anchors: str, classes: int) -> list[Section]:
    """The sections of a network that is written one layer a line."""
    sections: list[Section] = [("net", {"width": "64", "height": "64", "channels": "3"})]
    for line in filter(None, lines.splitlines()):
        match line.split():
            case ["conv", filters, size, stride, act, *extra]:
                options = dict(option.split("=") for option in extra if "=" in option)
                values = {"filters": filters, "size": size, "stride": stride, "pad": "1", "activation": act}
                sections.append(
                    ("convolutional", {"batch_normalize": str(int("plain" not in extra)), **values, **options})
                )
            case ["route", layers]:
                sections.append(("route", {"layers": layers}))
            case ["half"]:
                sections.append(("route", {"layers": "-1", "groups": "2", "group_id": "1"}))
            case ["pool", size, stride]:
                sections.append(("maxpool", {"size": size, "stride": stride}))
            case ["up"]:
                sections.append(("upsample", {"stride": "2"}))
            case ["add", layer, act]:
                sections.append(("shortcut", {"from": layer, "activation": act}))
            case ["drop", share]:
                sections.append(("dropout", {"probability": share}))
            case ["yolo", mask, scale]:
                values = {"mask": mask, "anchors": anchors, "classes": str(classes), "scale_x_y": scale}
                sections.append(("yolo", values))
            case _:
                raise ValueError(line)
    return sections


def cfg_text(sections: list[Section]) -> str:
    """The text of a cfg file."""
    return "\n\n".join(
        "\n".join([f"[{kind}]", *(f"{k} = {v}" for k, v in values.items())]) for kind, values in sections
    )


def random_numbers(sections: list[Section], *, seed: int = 0) -> NDArray[np.float32]:
    """Numbers for all convolutions, in the order of a weights file."""
    rng = np.random.default_rng(seed)
    parts = []
    for values, channels in _convolutions(sections):
        filters, size, groups = int(values["filters"]), int(values["size"]), int(values.get("groups", 1))
        parts.append(0.1 * rng.standard_normal(filters))
        if values["batch_normalize"] == "1":
            parts += [1 + 0.1 * rng.standard_normal(filters), 0.1 * rng.standard_normal(filters)]
            parts.append(rng.uniform(0.5, 1.5, filters))
        fan = channels // groups * size**2
        parts.append(rng.standard_normal(filters * fan) * math.sqrt(2 / fan))
    return np.concatenate(parts).astype(np.float32)


def write_weights(path: Path, numbers: NDArray[np.float32], *, version: tuple[int, int] = (0, 2)) -> None:
    """Write a weights file of either version."""
    counter = struct.pack("<q" if 10 * version[0] + version[1] >= 2 else "<i", 64)
    path.write_bytes(struct.pack("<3i", *version, 5) + counter + numbers.astype("<f4").tobytes())


def run(sections: list[Section], numbers: NDArray[np.float32], images: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Boxes xyxy in pixels (B, A, 4) and scores (B, A, C) of each yolo layer, in the order of the cfg."""
    outputs: list[Tensor] = []
    found: list[tuple[Tensor, Tensor]] = []
    weights = torch.from_numpy(numbers)
    x = images
    for index, (kind, values) in enumerate(sections[1:]):
        if kind == "convolutional":
            x, weights = _convolve(x, values, weights)
        elif kind == "route":
            chosen = [outputs[_absolute(int(layer), index)] for layer in values["layers"].split(",")]
            x = torch.cat(chosen, 1)
            if "groups" in values:
                x = x.chunk(int(values["groups"]), 1)[int(values["group_id"])]
        elif kind == "maxpool":
            x = _pool(x, int(values["size"]), int(values["stride"]))
        elif kind == "upsample":
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        elif kind == "shortcut":
            other = outputs[_absolute(int(values["from"]), index)]
            shared = min(x.shape[1], other.shape[1])
            x = _activate(torch.cat((x[:, :shared] + other[:, :shared], x[:, shared:]), 1), values["activation"])
        elif kind == "yolo":
            found.append(_boxes(x, values, images.shape[2]))
        outputs.append(x)
    assert len(weights) == 0
    return found


def _absolute(layer: int, index: int) -> int:
    return index + layer if layer < 0 else layer


def _convolutions(sections: list[Section]) -> list[tuple[dict[str, str], int]]:
    """Each convolution and its input's channels."""
    given: list[int] = []
    found, channels = [], 3
    for index, (kind, values) in enumerate(sections[1:]):
        if kind == "convolutional":
            found.append((values, channels))
            channels = int(values["filters"])
        elif kind == "route":
            channels = sum(given[_absolute(int(layer), index)] for layer in values["layers"].split(","))
            channels //= int(values.get("groups", 1))
        given.append(channels)
    return found


def _convolve(x: Tensor, values: dict[str, str], weights: Tensor) -> tuple[Tensor, Tensor]:
    filters, size, groups = int(values["filters"]), int(values["size"]), int(values.get("groups", 1))
    bias, weights = weights[:filters], weights[filters:]
    scale = mean = variance = None
    if values["batch_normalize"] == "1":
        (scale, mean, variance), weights = weights[: 3 * filters].view(3, filters), weights[3 * filters :]
    count = filters * x.shape[1] // groups * size**2
    kernel = weights[:count].view(filters, x.shape[1] // groups, size, size)
    x = F.conv2d(x, kernel, stride=int(values["stride"]), padding=size // 2, groups=groups)
    if scale is not None and mean is not None and variance is not None:
        x = (x - mean.view(-1, 1, 1)) / (variance + 1e-5).sqrt().view(-1, 1, 1) * scale.view(-1, 1, 1)
    return _activate(x + bias.view(-1, 1, 1), values["activation"]), weights[count:]


def _activate(x: Tensor, name: str) -> Tensor:
    return {"leaky": torch.where(x > 0, x, 0.1 * x), "relu": x.clamp(min=0), "linear": x}[name]


def _pool(x: Tensor, size: int, stride: int) -> Tensor:
    """Pixel by pixel; windows begin `(size - 1) // 2` left and above, what lies outside does not count."""
    height, width = x.shape[2:]
    begin = (size - 1) // 2
    rows = [
        torch.stack(
            [
                x[:, :, max(0, top) : top + size, max(0, left) : left + size].amax((2, 3))
                for left in range(-begin, width - begin, stride)
            ],
            2,
        )
        for top in range(-begin, height - begin, stride)
    ]
    return torch.stack(rows, 2)


def _boxes(x: Tensor, values: dict[str, str], input_height: int) -> tuple[Tensor, Tensor]:
    sides = [float(side) for side in values["anchors"].split(",")]
    mask = [int(index) for index in values["mask"].split(",")]
    scale, pixels = float(values["scale_x_y"]), input_height / x.shape[2]
    rows = int(values["classes"]) + 5
    boxes, scores = [], []
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            for slot, anchor in enumerate(mask):
                numbers = x[:, slot * rows : (slot + 1) * rows, row, column]
                centre = numbers[:, :2].sigmoid() * scale - (scale - 1) / 2
                centre = (centre + torch.tensor([column, row])) * pixels
                half = numbers[:, 2:4].exp() * torch.tensor(sides[2 * anchor : 2 * anchor + 2]) / 2
                boxes.append(torch.cat((centre - half, centre + half), 1))
                scores.append(numbers[:, 4:5].sigmoid() * numbers[:, 5:].sigmoid())
    return torch.stack(boxes, 1), torch.stack(scores, 1)
