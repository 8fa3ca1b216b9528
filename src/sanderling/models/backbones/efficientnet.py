"""EfficientNet: inverted residuals with squeeze and excitation, scaled in width and depth, cut after any of them.

https://arxiv.org/abs/1905.11946. Convolutions of stride 2 are padded by `kernel // 2` on all sides, as torchvision's
ImageNet weights want it (TensorFlow pads pictures of even size by one pixel more below and on the right).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from sanderling.errors import ModelError
from sanderling.models.backbones.blocks_by_stride import Block, BlocksByStride
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.inverted_residual import InvertedResidual
from sanderling.models.layers.rounding import round_channels

_EPS = 1e-3
_SQUEEZE = 0.25

# Per stage: expansion, channels, repeats, stride of its first block, kernel.
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_LAST = 1280

Scale = Annotated[float, Field(gt=0)]

SCALES: dict[str, tuple[float, float]] = {"b0": (1.0, 1.0), "b1": (1.0, 1.1), "b2": (1.1, 1.2), "b3": (1.2, 1.4)}
"""Width and depth of the published sizes."""


def blocks_before_last_stage(depth: float) -> int:
    """Inverted residuals of all stages but the last.

    >>> blocks_before_last_stage(1.4)
    24
    """
    return sum(_repeats(repeats, depth) for _, _, repeats, _, _ in _STAGES[:-1])


def _repeats(repeats: int, depth: float) -> int:
    return math.ceil(repeats * depth)


@dataclass(frozen=True, kw_only=True, slots=True)
class EfficientNetConfig:
    """Width, depth, where the network is cut and where it is tapped; the defaults are B0."""

    kind: Literal["efficientnet"] = "efficientnet"
    width: Scale = 1.0
    """Factor on all channels."""
    depth: Scale = 1.0
    """Factor on the blocks of each stage, rounded up."""
    keep: Annotated[int, Field(gt=0)] | None = None
    """Inverted residuals that are kept, from the picture on; None keeps them all."""
    last_conv: bool = False
    """End with the classifier's 1x1 convolution to 1280 channels."""
    strides: tuple[int, ...] = (8, 16, 32)
    """Strides of the maps that are handed on, finest first."""

    def build(self) -> BlocksByStride:
        """Make the backbone with freshly drawn weights.

        Raises:
            ModelError: more blocks are to be kept than there are, or they do not reach the asked strides.
        """
        return BlocksByStride(self._blocks(), strides=self.strides)

    def _blocks(self) -> list[Block]:
        channels, stride, count = round_channels(32 * self.width), 2, 0
        blocks = [Block(ConvNormAct(3, channels, 3, stride=2, act="silu", eps=_EPS), channels, stride)]
        for expansion, base, repeats, first_stride, kernel in _STAGES:
            wanted = round_channels(base * self.width)
            for repeat in range(_repeats(repeats, self.depth)):
                if count == self.keep:
                    return self._ended(blocks, count)
                step = first_stride if repeat == 0 else 1
                block = InvertedResidual(
                    channels,
                    wanted,
                    expanded=channels * expansion,
                    kernel=kernel,
                    stride=step,
                    squeezed=max(1, int(channels * _SQUEEZE)),
                    act="silu",
                    eps=_EPS,
                )
                channels, stride, count = wanted, stride * step, count + 1
                blocks.append(Block(block, channels, stride))
        return self._ended(blocks, count)

    def _ended(self, blocks: list[Block], count: int) -> list[Block]:
        if self.keep is not None and self.keep > count:
            raise ModelError(f"backbone.keep = {self.keep}: this EfficientNet has {count} inverted residuals")
        if self.last_conv:
            before, wide = blocks[-1], round_channels(_LAST * self.width)
            conv = ConvNormAct(before.channels, wide, 1, act="silu", eps=_EPS)
            blocks.append(Block(conv, wide, before.stride))
        return blocks
