"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation, with ReLU6, for processors that quantise.

https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite, blocks of https://arxiv.org/abs/1905.11946,
as NanoDet has it: padding the same on both sides, and blocks left out at random more and more often towards the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation, activation

Count = Annotated[int, Field(gt=0)]

_KERNELS = (3, 3, 5, 3, 5, 5, 3)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_EXPANSIONS = (1, 6, 6, 6, 6, 6, 6)
_TAPS = (2, 4, 6)
_EPS, _MOMENTUM = 1e-3, 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class EfficientNetLiteConfig:
    """Channels and blocks of the seven stages; the defaults are Lite0's."""

    kind: Literal["efficientnet_lite"] = "efficientnet_lite"
    stem: Count = 32
    channels: tuple[Count, Count, Count, Count, Count, Count, Count] = (16, 24, 40, 80, 112, 192, 320)
    blocks: tuple[Count, Count, Count, Count, Count, Count, Count] = (1, 2, 2, 3, 3, 4, 1)
    act: Activation = "relu6"
    drop_rate: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Block number i (from 0) is left out for a picture with the probability `drop_rate * i / 7`, while training."""

    def build(self) -> EfficientNetLite:
        """Make the backbone with freshly drawn weights."""
        return EfficientNetLite(
            stem=self.stem, channels=self.channels, blocks=self.blocks, act=self.act, drop_rate=self.drop_rate
        )


class EfficientNetLite(nn.Module):
    """Stem (stride 2) and seven stages of inverted bottlenecks; the third, fifth and seventh are handed on."""

    def __init__(
        self, *, stem: int, channels: tuple[int, ...], blocks: tuple[int, ...], act: Activation, drop_rate: float
    ) -> None:
        super().__init__()
        self.features = FeatureSpec(tuple(channels[tap] for tap in _TAPS), (8, 16, 32))
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, 2, 1, bias=False), _norm(stem), activation(act))
        self.blocks = nn.ModuleList()
        width, number = stem, 0
        for stage, (width_out, count) in enumerate(zip(channels, blocks, strict=True)):
            steps = nn.Sequential()
            for step in range(count):
                steps.append(
                    LiteBlock(
                        width,
                        width_out,
                        kernel=_KERNELS[stage],
                        stride=1 if step else _STRIDES[stage],
                        expansion=_EXPANSIONS[stage],
                        act=act,
                        drop_probability=min(drop_rate * number / len(channels), 0.9),
                    )
                )
                width, number = width_out, number + 1
            self.blocks.append(steps)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0, math.sqrt(2 / fan_out))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps of strides 8, 16 and 32."""
        x = self.stem(x)
        maps = []
        for stage in self.blocks:
            x = stage(x)
            maps.append(x)
        return [maps[tap] for tap in _TAPS]


class LiteBlock(nn.Module):
    """Inverted bottleneck: 1x1 to more channels, depthwise, 1x1 to fewer without activation, a shortcut if it fits."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel: int,
        stride: int,
        expansion: int,
        act: Activation,
        drop_probability: float,
    ) -> None:
        super().__init__()
        width = channels_in * expansion
        self.expand_conv = nn.Conv2d(channels_in, width, 1, bias=False) if expansion > 1 else None
        self.bn0 = _norm(width) if expansion > 1 else None
        self.depthwise_conv = nn.Conv2d(width, width, kernel, stride, kernel // 2, groups=width, bias=False)
        self.bn1 = _norm(width)
        self.project_conv = nn.Conv2d(width, channels_out, 1, bias=False)
        self.bn2 = _norm(channels_out)
        self.act = activation(act)
        self.shortcut = stride == 1 and channels_in == channels_out
        self.drop_probability = drop_probability

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, ceil(H / stride), ceil(W / stride))."""
        made = x
        if self.expand_conv is not None and self.bn0 is not None:
            made = self.act(self.bn0(self.expand_conv(made)))
        made = self.act(self.bn1(self.depthwise_conv(made)))
        made = self.bn2(self.project_conv(made))
        if not self.shortcut:
            return made
        return x + (_drop_pictures(made, self.drop_probability) if self.training else made)


def _drop_pictures(x: Tensor, probability: float) -> Tensor:
    """Zero some pictures of a batch at random and enlarge the others, so that the mean stays."""
    kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= probability
    return x * (kept / (1 - probability)).to(x.dtype)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPS, momentum=_MOMENTUM)
