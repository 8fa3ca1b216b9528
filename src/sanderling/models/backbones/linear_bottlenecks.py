"""A backbone of linear bottlenecks whose every width is written down, as the darknet models of small devices have it.

The blocks are MobileNetV2's, https://arxiv.org/abs/1801.04381.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from sanderling.models.backbones.blocks_by_stride import Block, BlocksByStride
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.inverted_residual import InvertedResidual

_EPS = 1e-5

Channels = Annotated[int, Field(gt=0)]
Row = tuple[Channels, Channels, Annotated[int, Field(ge=1, le=2)], Annotated[int, Field(gt=0)]]


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearBottlenecksConfig:
    """Rows of equal blocks and what they have in common."""

    kind: Literal["linear_bottlenecks"] = "linear_bottlenecks"
    stem: Channels
    """Channels of the first convolution, which has stride 2."""
    rows: tuple[Row, ...]
    """Channels inside, channels of the output, stride of the first block, number of blocks."""
    act: Activation
    always_expand: bool = False
    """Blocks have their first 1x1 even where it changes no channels."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of blocks that add their input."""
    strides: tuple[int, ...] = (16, 32)
    """Strides of the maps that are handed on, finest first."""
    tap: Literal["output", "expansion"] = "output"
    """Hand on the last block of a stride, or the expansion inside the next one, which has its stride too."""

    def build(self) -> BlocksByStride:
        """Make the backbone with freshly drawn weights.

        Raises:
            ModelError: the rows do not reach the asked strides.
        """
        return BlocksByStride(self._blocks(), strides=self.strides)

    def _blocks(self) -> list[Block]:
        channels, stride = self.stem, 2
        blocks = [Block(ConvNormAct(3, channels, 3, stride=2, act=self.act, eps=_EPS), channels, stride)]
        for expanded, wanted, first_stride, repeats in self.rows:
            for repeat in range(repeats):
                step = first_stride if repeat == 0 else 1
                apart = step == 2 and self.tap == "expansion"
                if apart:
                    blocks.append(Block(self._expansion(channels, expanded), expanded, stride))
                    channels = expanded
                block = InvertedResidual(
                    channels,
                    wanted,
                    expanded=expanded,
                    always_expand=self.always_expand and not apart,
                    stride=step,
                    act=self.act,
                    dropout=self.dropout,
                    eps=_EPS,
                )
                channels, stride = wanted, stride * step
                blocks.append(Block(block, channels, stride))
        return blocks

    def _expansion(self, channels_in: int, channels_out: int) -> nn.Module:
        return ConvNormAct(channels_in, channels_out, 1, act=self.act, eps=_EPS)
