"""MobileDet: backbones searched for detection, one per kind of processor; full convolutions stand where they pay.

MobileDets, https://arxiv.org/abs/2004.14525. The tables are those of the released code (TensorFlow object detection
API), which made the released checkpoints. A backbone is a stem and five stages C1..C5 of blocks, and blocks are values:
a search changes them and nothing else. All padding is TensorFlow's SAME.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from sanderling.models.backbones.blocks_by_stride import Block, BlocksByStride
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.bottleneck_style import BottleneckStyle
from sanderling.models.layers.fused_inverted_bottleneck import FusedIbn
from sanderling.models.layers.inverted_bottleneck import Ibn
from sanderling.models.layers.rounding import nearest_multiple
from sanderling.models.layers.tucker import Tucker

Bottleneck = Annotated[FusedIbn | Ibn | Tucker, Field(discriminator="kind")]
Stage = tuple[Bottleneck, ...]

# Deviation of a normal distribution cut at two deviations.
_CUT_DEVIATION = 0.87962566103423978


@dataclass(frozen=True, kw_only=True, slots=True)
class MobileDetConfig:
    """Stem, blocks of the five stages and what they have in common."""

    kind: Literal["mobiledet"] = "mobiledet"
    stem: Annotated[int, Field(gt=0)] = 32
    """Channels of the first convolution, of stride 2."""
    stages: tuple[Stage, ...]
    """C1, C2, ... from the picture on."""
    width: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the channels of stem and blocks, rounded to multiples of eight."""
    act: Activation = "relu6"
    squeeze_ratio: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Inner width of squeeze and excitation in inverted bottlenecks, as a share of the expanded one; 0 has none."""
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Of BatchNorm, the weight of the new statistics; short trainings need more."""
    strides: tuple[int, ...] = (16, 32)
    """Strides of the maps that are handed on, finest first; C4 and C5 by default."""

    def build(self) -> BlocksByStride:
        """Make the backbone with freshly drawn weights.

        Raises:
            ModelError: the blocks do not reach the asked strides, or a residual joins maps of different shapes.
        """
        style = BottleneckStyle(act=self.act, squeeze_ratio=self.squeeze_ratio, momentum=self.momentum)
        channels, stride = nearest_multiple(self.stem * self.width), 2
        blocks = [Block(style.conv(3, channels, 3, stride=2), channels, stride)]
        for stage in self.stages:
            for block in stage:
                scaled = dataclasses.replace(block, channels=nearest_multiple(block.channels * self.width))
                module = scaled.build(channels, style=style)
                channels, stride = scaled.channels, stride * block.stride
                blocks.append(Block(module, channels, stride))
        backbone = BlocksByStride(blocks, strides=self.strides)
        _draw_weights(backbone)
        return backbone


def _draw_weights(backbone: nn.Module) -> None:
    """He's deviation for the inputs of one output, drawn from a cut normal distribution; depthwise kernels too."""
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            deviation = (2 / module.weight[0].numel()) ** 0.5 / _CUT_DEVIATION
            nn.init.trunc_normal_(module.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _ibn(
    channels: int, expansion: int, kernel: Literal[3, 5] = 3, *, stride: Literal[1, 2] = 1, residual: bool = True
) -> Ibn:
    return Ibn(channels=channels, kernel=kernel, stride=stride, expansion=expansion, residual=residual)


def _fused(
    channels: int, expansion: int, kernel: Literal[3, 5] = 3, *, stride: Literal[1, 2] = 1, residual: bool = True
) -> FusedIbn:
    return FusedIbn(channels=channels, kernel=kernel, stride=stride, expansion=expansion, residual=residual)


def _tucker(channels: int, ratio_in: float, ratio_out: float, *, residual: bool = True) -> Tucker:
    return Tucker(channels=channels, ratio_in=ratio_in, ratio_out=ratio_out, residual=residual)


# The first block of every stage, and of the second half of C4, has no residual, even where shapes agree.

MOBILEDET_CPU = MobileDetConfig(
    stem=16,
    act="hardswish",
    squeeze_ratio=0.25,
    stages=(
        (_ibn(8, 1, residual=False),),
        (_ibn(16, 4, stride=2, residual=False),),
        (_ibn(32, 8, stride=2, residual=False), *(_ibn(32, 4),) * 3),
        (
            *(_ibn(72, 8, 5, stride=2, residual=False), _ibn(72, 8), _ibn(72, 4, 5), _ibn(72, 4)),
            *(_ibn(72, 8, residual=False), *(_ibn(72, 8),) * 3),
        ),
        (
            *(_ibn(104, 8, 5, stride=2, residual=False), _ibn(104, 4, 5), _ibn(104, 4, 5), _ibn(104, 4)),
            _ibn(144, 8, residual=False),
        ),
    ),
)
"""For processors; squeeze and excitation everywhere, no full convolution after the stem."""

MOBILEDET_EDGETPU = MobileDetConfig(
    stem=32,
    stages=(
        (_tucker(16, 0.25, 0.75, residual=False),),
        (_fused(16, 8, stride=2, residual=False), _fused(16, 4), _fused(16, 8), _fused(16, 4)),
        (_fused(40, 8, 5, stride=2, residual=False), *(_fused(40, 4),) * 3),
        (
            *(_ibn(72, 8, stride=2, residual=False), _ibn(72, 8), _fused(72, 4), _fused(72, 4)),
            *(_ibn(96, 8, 5, residual=False), _ibn(96, 8, 5), _ibn(96, 8), _ibn(96, 8)),
        ),
        (
            *(_ibn(120, 8, 5, stride=2, residual=False), _ibn(120, 8), _ibn(120, 4, 5), _ibn(120, 8)),
            _ibn(384, 8, 5, residual=False),
        ),
    ),
)
"""For the Edge TPU of Pixel 4 and Coral."""

MOBILEDET_DSP = MobileDetConfig(
    stem=32,
    stages=(
        (_ibn(24, 1, residual=False),),
        (_fused(32, 4, stride=2, residual=False), _fused(32, 4), _ibn(32, 4), _tucker(32, 0.25, 0.75)),
        (_fused(64, 8, stride=2, residual=False), _ibn(64, 4), _fused(64, 4), _fused(64, 4)),
        (
            *(_fused(120, 8, stride=2, residual=False), _ibn(120, 4), _ibn(120, 8), _ibn(120, 8)),
            *(_fused(144, 8, residual=False), *(_ibn(144, 8),) * 3),
        ),
        (
            *(_ibn(160, 4, stride=2, residual=False), _ibn(160, 4), _fused(160, 4), _tucker(160, 0.75, 0.75)),
            _ibn(240, 8, residual=False),
        ),
    ),
)
"""For Hexagon DSPs; kernels of 3 only. The residual of the fused block in C5 is that of the released checkpoints."""

MOBILEDET_GPU = MobileDetConfig(
    stem=32,
    stages=(
        (_tucker(16, 0.25, 0.25, residual=False),),
        (_fused(32, 8, stride=2, residual=False), *(_tucker(32, 0.25, 0.25),) * 3),
        (_fused(64, 8, stride=2, residual=False), _fused(64, 8), _fused(64, 8), _fused(64, 4)),
        (
            *(_fused(128, 8, stride=2, residual=False), *(_fused(128, 4),) * 3),
            *(_fused(128, 8, residual=False), *(_fused(128, 8),) * 3),
        ),
        (
            *(_fused(128, 4, stride=2, residual=False), *(_fused(128, 4),) * 3),
            _ibn(384, 8, residual=False),
        ),
    ),
)
"""For the GPU of Jetson Xavier; almost only full convolutions."""
