"""darknet's `.cfg`: the layers of a network as text. Read is what tells whether a network of ours is the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sanderling.errors import ModelError

_MOST_CLASSES = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class CfgConvolution:
    """A `[convolutional]` section."""

    layer: int
    """Its number among all layers, from 0 on, as darknet prints it."""
    filters: int
    size: int
    stride: int
    groups: int
    batch_normalize: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CfgYolo:
    """A `[yolo]` section."""

    layer: int
    classes: int
    anchors: tuple[tuple[float, float], ...]
    """Those of its mask."""
    scale_xy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DarknetCfg:
    """What has weights and what reads boxes from them, in the order of the file."""

    convolutions: tuple[CfgConvolution, ...]
    yolos: tuple[CfgYolo, ...]


def read_cfg(path: Path) -> DarknetCfg:
    """Read the convolutions and the outputs of a darknet network.

    Raises:
        ModelError: a line is neither a section, a comment nor `key=value`, a value is no number, or there is no
            `[yolo]`.
    """
    convolutions, yolos = [], []
    for layer, (kind, values) in enumerate(_sections(path), start=-1):
        if kind == "convolutional":
            convolutions.append(
                CfgConvolution(
                    layer=layer,
                    filters=_integer(path, layer, values, "filters", 1),
                    size=_integer(path, layer, values, "size", 1),
                    stride=_integer(path, layer, values, "stride", 1),
                    groups=_integer(path, layer, values, "groups", 1),
                    batch_normalize=bool(_integer(path, layer, values, "batch_normalize", 0)),
                )
            )
        elif kind == "yolo":
            yolos.append(_yolo(path, layer, values))
    if not yolos:
        raise ModelError(f"{path}: has no [yolo] section; only YOLO detectors are read")
    return DarknetCfg(convolutions=tuple(convolutions), yolos=tuple(yolos))


def _sections(path: Path) -> list[tuple[str, dict[str, str]]]:
    sections: list[tuple[str, dict[str, str]]] = []
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        line = text.partition("#")[0].partition(";")[0].strip()
        if line.startswith("[") and line.endswith("]"):
            sections.append((line[1:-1].strip(), {}))
        elif line:
            key, equals, value = line.partition("=")
            if not equals or not sections:
                raise ModelError(
                    f"{path}: line {number} is {line[:60]!r}; a [section] or key=value inside one is expected"
                )
            sections[-1][1][key.strip()] = value.strip()
    return sections


def _yolo(path: Path, layer: int, values: Mapping[str, str]) -> CfgYolo:
    sides = _numbers(path, layer, values, "anchors")
    anchors = list(zip(sides[::2], sides[1::2], strict=False))
    mask = [int(index) for index in _numbers(path, layer, values, "mask")] or list(range(len(anchors)))
    classes = _integer(path, layer, values, "classes", 20)
    if not 1 <= classes <= _MOST_CLASSES:
        raise ModelError(f"{path}: layer {layer}: classes = {classes}; 1 to {_MOST_CLASSES} are expected")
    if len(sides) % 2 or not all(0 <= index < len(anchors) for index in mask):
        raise ModelError(f"{path}: layer {layer}: mask {mask} does not fit {len(sides)} numbers of anchors")
    scale = _numbers(path, layer, values, "scale_x_y")
    return CfgYolo(
        layer=layer,
        classes=classes,
        anchors=tuple(anchors[index] for index in mask),
        scale_xy=scale[0] if scale else 1.0,
    )


def _numbers(path: Path, layer: int, values: Mapping[str, str], key: str) -> list[float]:
    try:
        found = [float(number) for number in values.get(key, "").split(",") if number.strip()]
    except ValueError:
        found = [math.nan]
    if not all(math.isfinite(number) for number in found):
        raise ModelError(f"{path}: layer {layer}: {key} = {values[key]!r}; numbers are expected")
    return found


def _integer(path: Path, layer: int, values: Mapping[str, str], key: str, default: int) -> int:
    if key not in values:
        return default
    try:
        return int(values[key])
    except ValueError:
        raise ModelError(f"{path}: layer {layer}: {key} = {values[key]!r}; a whole number is expected") from None
