"""ncnn's pair of files: `.param`, a network's layers as text, and `.bin`, their weights one after another.

https://github.com/Tencent/ncnn/wiki. Read are convolutions with weights in float32 or float16. Every length is checked
against what the text announces before anything is taken, so that a damaged pair ends in one error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sanderling.errors import ModelError

_MAGIC = "7767517"
_FLOAT32_TAGS, _FLOAT16_TAG = (0, 0x0002C056), 0x01306B47
_KERNEL, _KERNEL_H, _OUTPUTS, _STRIDE, _STRIDE_H, _BIAS, _SIZE, _GROUPS, _DYNAMIC = 1, 11, 0, 3, 13, 5, 6, 7, 19
_LARGEST_BYTES = {".param": 1 << 24, ".bin": 1 << 30}

_CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise")
_WITHOUT_WEIGHTS = (
    *("BinaryOp", "Clip", "Concat", "Crop", "Dropout", "Eltwise", "Flatten", "HardSigmoid", "HardSwish", "Input"),
    *("Interp", "Noop", "Padding", "Permute", "Pooling", "ReLU", "Reshape", "ShuffleChannel", "Sigmoid", "Slice"),
    *("Softmax", "Split", "Swish", "TanH", "UnaryOp"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class NcnnConvolution:
    """One convolution of the file."""

    name: str
    weight: Tensor
    """Outputs x inputs of a group x kernel height x kernel width, float32."""
    bias: Tensor | None
    stride: tuple[int, int]
    groups: int


def read_ncnn(path: Path) -> list[NcnnConvolution]:
    """The convolutions of a network, in the order of the file, which is the order in which they run.

    Args:
        path: the `.param` or the `.bin`; the other one is found beside it.

    Raises:
        ModelError: one of the two is missing, cut off, too long, of another format, or of layers that are not known.
    """
    text_path, data_path = path.with_suffix(".param"), path.with_suffix(".bin")
    for part in (text_path, data_path):
        if not part.is_file():
            raise ModelError(f"{part}: no such weights file; ncnn's .param and .bin lie beside each other")
        if part.stat().st_size > (most := _LARGEST_BYTES[part.suffix]):
            raise ModelError(f"{part}: is larger than {most >> 20} MiB, which no detector of ncnn is")
    data = _Data(data_path)
    found = []
    for kind, name, values in _layers(text_path):
        if kind in _CONVOLUTIONS:
            found.append(_convolution(name, values, data, text_path))
        elif kind not in _WITHOUT_WEIGHTS:
            raise ModelError(
                f"{text_path}: layer {name!r} is a {kind}; only networks whose weights are all in convolutions are read"
            )
    if data.left:
        raise ModelError(f"{data_path}: {data.left} bytes are left over; it does not belong to {text_path.name}")
    return found


def _layers(path: Path) -> list[tuple[str, str, dict[int, str]]]:
    """Kind, name and parameters of every layer."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except UnicodeDecodeError:
        raise ModelError(f"{path}: is no text; ncnn's readable .param is expected, not a binary one") from None
    if not lines or lines[0].strip() != _MAGIC:
        raise ModelError(f"{path}: does not begin with {_MAGIC}; it is no .param file of ncnn")
    counts = lines[1].split() if len(lines) > 1 else []
    layers = [line.split() for line in lines[2:] if line.strip()]
    if len(counts) != 2 or counts[0] != str(len(layers)):
        raise ModelError(
            f"{path}: announces {counts[0] if counts else 'no'} layers and holds {len(layers)}; is it cut off?"
        )
    return [_layer(path, fields) for fields in layers]


def _layer(path: Path, fields: list[str]) -> tuple[str, str, dict[int, str]]:
    """`kind name inputs outputs`, then the names of as many maps, then `key=value`."""
    try:
        kind, name, inputs, outputs = fields[:4]
        maps = int(inputs) + int(outputs)
        pairs = [field.split("=", 1) for field in fields[4 + maps :]]
        values = {int(key): value for key, value in pairs}
    except ValueError:
        maps, values = -1, {}
    if maps < 0 or len(fields) < 4 + maps:
        raise ModelError(f"{path}: {' '.join(fields)[:80]!r} is no layer; is the file damaged?")
    return kind, name, values


def _convolution(name: str, values: dict[int, str], data: _Data, path: Path) -> NcnnConvolution:
    try:
        numbers = {key: int(value) for key, value in values.items() if key >= 0}
    except ValueError:
        raise ModelError(f"{path}: convolution {name!r} has a size that is no whole number") from None
    outputs, width, groups = numbers.get(_OUTPUTS, 0), numbers.get(_KERNEL, 0), numbers.get(_GROUPS, 1)
    height, stride, size = numbers.get(_KERNEL_H, width), numbers.get(_STRIDE, 1), numbers.get(_SIZE, 0)
    if min(outputs, width, height, groups, stride, size) < 1 or outputs % groups or size % (outputs * width * height):
        raise ModelError(
            f"{path}: convolution {name!r} cannot be: {outputs} outputs, kernel {height}x{width}, {groups} groups, "
            f"{size} weights"
        )
    if numbers.get(_DYNAMIC, 0):
        raise ModelError(f"{path}: the weights of convolution {name!r} are computed while it runs, not stored")
    weight = data.weights(size, name=name)
    return NcnnConvolution(
        name=name,
        weight=weight.view(outputs, -1, height, width),
        bias=data.floats(outputs, name=name) if numbers.get(_BIAS, 0) else None,
        stride=(numbers.get(_STRIDE_H, stride), stride),
        groups=groups,
    )


class _Data:
    """The `.bin` file, taken from front to back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes = path.read_bytes()
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not taken yet."""
        return len(self._bytes) - self._at

    def weights(self, count: int, *, name: str) -> Tensor:
        """Numbers behind a tag that says how they are stored."""
        tag = int.from_bytes(self._take(4, name=name), "little")
        if tag in _FLOAT32_TAGS:
            return self.floats(count, name=name)
        if tag != _FLOAT16_TAG:
            raise ModelError(
                f"{self._path}: the weights of {name!r} are stored as {tag:#010x}; float32 and float16 are read, "
                "quantised ones are not"
            )
        halves = np.frombuffer(self._take(2 * count, name=name), dtype="<f2")
        self._take(-2 * count % 4, name=name)
        return self._finite(halves, name=name)

    def floats(self, count: int, *, name: str) -> Tensor:
        """Plain float32."""
        return self._finite(np.frombuffer(self._take(4 * count, name=name), dtype="<f4"), name=name)

    def _finite(self, numbers: np.ndarray[tuple[int], np.dtype[np.floating]], *, name: str) -> Tensor:
        tensor = torch.from_numpy(numbers.astype(np.float32))
        if not math.isfinite(float(tensor.abs().sum())):
            raise ModelError(f"{self._path}: {name!r} holds numbers that are not finite; is the file damaged?")
        return tensor

    def _take(self, size: int, *, name: str) -> bytes:
        if size > self.left:
            raise ModelError(f"{self._path}: ends inside {name!r}: {size} bytes are expected, {self.left} are left")
        self._at += size
        return self._bytes[self._at - size : self._at]
