"""MobileNetV3, large and small: inverted residuals, some with squeeze and excitation, hard swish in the coarse half.

https://arxiv.org/abs/1905.02244. Two forms are published: the authors' (TensorFlow's, torchvision's) and
PaddlePaddle's, which has the 1x1 expansion in the first block too, does not round the widths inside squeeze and
excitation, and gates with a steeper slope. PP-YOLO and YOLOv3 were published with the second, SSDLite with the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from sanderling.models.backbones.blocks_by_stride import Block, BlocksByStride
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.inverted_residual import InvertedResidual
from sanderling.models.layers.rounding import round_channels


class _Row(NamedTuple):
    kernel: int
    expanded: int
    channels: int
    squeezes: bool
    act: Activation
    stride: int


_LARGE = (
    _Row(3, 16, 16, False, "relu", 1),
    _Row(3, 64, 24, False, "relu", 2),
    _Row(3, 72, 24, False, "relu", 1),
    _Row(5, 72, 40, True, "relu", 2),
    _Row(5, 120, 40, True, "relu", 1),
    _Row(5, 120, 40, True, "relu", 1),
    _Row(3, 240, 80, False, "hardswish", 2),
    _Row(3, 200, 80, False, "hardswish", 1),
    _Row(3, 184, 80, False, "hardswish", 1),
    _Row(3, 184, 80, False, "hardswish", 1),
    _Row(3, 480, 112, True, "hardswish", 1),
    _Row(3, 672, 112, True, "hardswish", 1),
    _Row(5, 672, 160, True, "hardswish", 2),
    _Row(5, 960, 160, True, "hardswish", 1),
    _Row(5, 960, 160, True, "hardswish", 1),
)
_SMALL = (
    _Row(3, 16, 16, True, "relu", 2),
    _Row(3, 72, 24, False, "relu", 2),
    _Row(3, 88, 24, False, "relu", 1),
    _Row(5, 96, 40, True, "hardswish", 2),
    _Row(5, 240, 40, True, "hardswish", 1),
    _Row(5, 240, 40, True, "hardswish", 1),
    _Row(5, 120, 48, True, "hardswish", 1),
    _Row(5, 144, 48, True, "hardswish", 1),
    _Row(5, 288, 96, True, "hardswish", 2),
    _Row(5, 576, 96, True, "hardswish", 1),
    _Row(5, 576, 96, True, "hardswish", 1),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MobileNetV3Config:
    """What may be chosen."""

    kind: Literal["mobilenet_v3"] = "mobilenet_v3"
    size: Literal["large", "small"] = "large"
    width: Annotated[float, Field(gt=0)] = 1.0
    """Factor on all channels."""
    form: Literal["authors", "paddle"] = "authors"
    reduced_tail: bool = False
    """Half the channels in the blocks behind stride 16, but for the first expansion (the authors' detectors)."""
    last_conv: bool = False
    """End with the classifier's 1x1 convolution to six times the channels (SSDLite)."""
    strides: tuple[int, ...] = (8, 16, 32)
    """Strides of the maps that are handed on, finest first."""
    tap: Literal["output", "expansion"] = "output"
    """Hand on the last block of a stride, or (SSDLite) the expansion inside the next one, which has its stride too."""
    padding: Literal["symmetric", "same"] = "symmetric"
    """Of convolutions of stride 2: as torchvision has it, or TensorFlow's SAME."""

    def build(self) -> BlocksByStride:
        """Make the backbone with freshly drawn weights.

        Raises:
            ModelError: the blocks do not reach the asked strides.
        """
        return BlocksByStride(self._blocks(), strides=self.strides)

    def _blocks(self) -> list[Block]:
        channels, stride = round_channels(16 * self.width), 2
        same = self.padding == "same"
        stem = ConvNormAct(3, channels, 3, stride=2, act="hardswish", eps=self._eps, same=same)
        blocks = [Block(stem, channels, stride)]
        for row in self._rows():
            expanded = round_channels(row.expanded * self.width)
            expands = self.form == "paddle" or expanded != channels
            if expands and row.stride == 2 and self.tap == "expansion":
                blocks.append(Block(self._conv(channels, expanded, row.act), expanded, stride))
                channels, expands = expanded, False
            block = InvertedResidual(
                channels,
                round_channels(row.channels * self.width),
                expanded=expanded,
                always_expand=expands,
                kernel=row.kernel,
                stride=row.stride,
                squeezed=self._squeezed(expanded) if row.squeezes else None,
                act=row.act,
                squeeze_act="relu",
                gate="hard_sigmoid" if self.form == "authors" else "paddle_hard_sigmoid",
                eps=self._eps,
                same=same,
            )
            channels, stride = round_channels(row.channels * self.width), stride * row.stride
            blocks.append(Block(block, channels, stride))
        if self.last_conv:
            blocks.append(Block(self._conv(channels, 6 * channels, "hardswish"), 6 * channels, stride))
        return blocks

    def _rows(self) -> list[_Row]:
        rows = list(_LARGE if self.size == "large" else _SMALL)
        if not self.reduced_tail:
            return rows
        first = max(index for index, row in enumerate(rows) if row.stride == 2)
        for index in range(first, len(rows)):
            row = rows[index]
            expanded = row.expanded if index == first else row.expanded // 2
            rows[index] = row._replace(channels=row.channels // 2, expanded=expanded)
        return rows

    def _squeezed(self, expanded: int) -> int:
        return round_channels(expanded / 4) if self.form == "authors" else expanded // 4

    @property
    def _eps(self) -> float:
        return 1e-3 if self.form == "authors" else 1e-5

    def _conv(self, channels_in: int, channels_out: int, act: Activation) -> ConvNormAct:
        return ConvNormAct(channels_in, channels_out, 1, act=act, eps=self._eps)
