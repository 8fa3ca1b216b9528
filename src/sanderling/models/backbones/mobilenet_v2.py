"""MobileNetV2: seventeen inverted residuals with linear bottlenecks, cut after any of them.

https://arxiv.org/abs/1801.04381; widths are rounded as in Keras. Convolutions of stride 2 are padded by one pixel on
all sides, as torchvision's ImageNet weights want it, or (SSDLite) as TensorFlow and Keras do: pictures of even size
below and on the right only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from sanderling.errors import ModelError
from sanderling.models.backbones.blocks_by_stride import Block, BlocksByStride
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.inverted_residual import InvertedResidual
from sanderling.models.layers.rounding import round_channels

_EPS = 1e-3

# Per stage: expansion, channels, repeats, stride of its first block.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_LAST = 1280


@dataclass(frozen=True, kw_only=True, slots=True)
class MobileNetV2Config:
    """Width, depth, where the network is cut and where it is tapped."""

    kind: Literal["mobilenet_v2"] = "mobilenet_v2"
    width: Annotated[float, Field(gt=0)] = 1.0
    """Factor on all channels."""
    depth: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the blocks of each stage, rounded up."""
    keep: Annotated[int, Field(gt=0)] | None = None
    """Inverted residuals that are kept, from the picture on; None keeps them all."""
    last_conv: bool = False
    """End with the classifier's 1x1 convolution to 1280 channels."""
    strides: tuple[int, ...] = (8, 16, 32)
    """Strides of the maps that are handed on, finest first."""
    tap: Literal["output", "expansion"] = "output"
    """Hand on the last block of a stride, or (SSDLite) the expansion inside the next one, which has its stride too."""
    padding: Literal["symmetric", "same"] = "symmetric"
    """Of convolutions of stride 2: as torchvision has it, or TensorFlow's SAME."""

    def build(self) -> BlocksByStride:
        """Make the backbone with freshly drawn weights.

        Raises:
            ModelError: more blocks are to be kept than there are, or they do not reach the asked strides.
        """
        return BlocksByStride(self._blocks(), strides=self.strides)

    def _blocks(self) -> list[Block]:
        channels, stride, count = round_channels(32 * self.width), 2, 0
        same = self.padding == "same"
        stem = ConvNormAct(3, channels, 3, stride=2, act="relu6", eps=_EPS, same=same)
        blocks = [Block(stem, channels, stride)]
        for expansion, base, repeats, first_stride in _STAGES:
            wanted = round_channels(base * self.width)
            for repeat in range(math.ceil(repeats * self.depth)):
                if count == self.keep:
                    return self._ended(blocks, count)
                step = first_stride if repeat == 0 else 1
                expanded = channels * expansion
                if step == 2 and self.tap == "expansion":
                    blocks.append(Block(_conv(channels, expanded), expanded, stride))
                    channels = expanded
                block = InvertedResidual(
                    channels, wanted, expanded=expanded, stride=step, act="relu6", eps=_EPS, same=same
                )
                channels, stride, count = wanted, stride * step, count + 1
                blocks.append(Block(block, channels, stride))
        return self._ended(blocks, count)

    def _ended(self, blocks: list[Block], count: int) -> list[Block]:
        if self.keep is not None and self.keep > count:
            raise ModelError(f"backbone.keep = {self.keep}: this MobileNetV2 has {count} inverted residuals")
        if self.last_conv:
            wide = round_channels(_LAST * max(1.0, self.width))
            blocks.append(Block(_conv(blocks[-1].channels, wide), wide, blocks[-1].stride))
        return blocks


def _conv(channels_in: int, channels_out: int) -> nn.Module:
    return ConvNormAct(channels_in, channels_out, 1, act="relu6", eps=_EPS)
