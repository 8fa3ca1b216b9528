"""DenseNet and SparseNet: layers that read all layers before them, or those 1, 2, 4, 8, ... steps back.

https://arxiv.org/abs/1608.06993 and https://arxiv.org/abs/1801.05895. Maps of strides 8, 16 and 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation, activation

Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class DenseNetConfig:
    """Layers of each stage and channels that each adds; the defaults are DenseNet-121's."""

    kind: Literal["densenet"] = "densenet"
    stem: Count = 64
    growth: Count = 32
    layers: tuple[Count, Count, Count, Count] = (6, 12, 24, 16)
    reads: Literal["all", "powers_of_two"] = "all"
    """Which earlier layers of its stage a layer reads: `all` is DenseNet, `powers_of_two` SparseNet."""
    act: Activation = "relu"

    def build(self) -> DenseNet:
        """Make the backbone with freshly drawn weights."""
        return DenseNet(self)


class DenseNet(nn.Module):
    """Stem of stride 4 and four stages, half of whose channels the next one gets; the last three are handed on."""

    def __init__(self, config: DenseNetConfig) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, config.stem, 7, 2, 3, bias=False),
            nn.BatchNorm2d(config.stem),
            activation(config.act),
            nn.MaxPool2d(3, 2, 1),
        )
        stages, before = [], config.stem
        for count in config.layers:
            stages.append(DenseStage(before, config.growth, count, reads=config.reads, act=config.act))
            before = stages[-1].channels // 2
        self.stage1, self.stage2, self.stage3, self.stage4 = stages
        self.transition1, self.transition2, self.transition3 = (
            nn.Sequential(*_norm_act_conv(stage.channels, stage.channels // 2, 1, act=config.act), nn.AvgPool2d(2, 2))
            for stage in stages[:3]
        )
        self.norm = nn.Sequential(nn.BatchNorm2d(self.stage4.channels), activation(config.act))
        self.features = FeatureSpec(tuple(stage.channels for stage in stages[1:]), (8, 16, 32))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps of strides 8, 16 and 32."""
        fine = self.stage2(self.transition1(self.stage1(self.stem(x))))
        middle = self.stage3(self.transition2(fine))
        return [fine, middle, self.norm(self.stage4(self.transition3(middle)))]


class DenseStage(nn.Module):
    """Layers of 1x1 to four times the growth and 3x3, each preceded by BatchNorm and activation.

    Args:
        channels_in: channels of the input.
        growth: channels that each layer gives.
        layers: how many there are.
        reads: which earlier outputs each layer, and in the end the stage, joins; the newest first.
        act: the activation.
    """

    def __init__(
        self,
        channels_in: int,
        growth: int,
        layers: int,
        *,
        reads: Literal["all", "powers_of_two"],
        act: Activation,
    ) -> None:
        super().__init__()
        self.reads = reads
        widths = [channels_in, *([growth] * layers)]
        self.layers = nn.ModuleList(
            nn.Sequential(
                *_norm_act_conv(sum(widths[i] for i in self._read(number)), 4 * growth, 1, act=act),
                *_norm_act_conv(4 * growth, growth, 3, act=act),
            )
            for number in range(1, layers + 1)
        )
        self.channels = sum(widths[i] for i in self._read(layers + 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels, H, W)."""
        outputs = [x]
        for layer in self.layers:
            outputs.append(layer(self._joined(outputs)))
        return self._joined(outputs)

    def _joined(self, outputs: Sequence[Tensor]) -> Tensor:
        return torch.cat([outputs[index] for index in self._read(len(outputs))], 1)

    def _read(self, count: int) -> list[int]:
        """Which of the first `count` outputs are read."""
        if self.reads == "all":
            return list(reversed(range(count)))
        return [count - 2**power for power in range(count.bit_length()) if 2**power <= count]


def _norm_act_conv(channels_in: int, channels_out: int, kernel: int, *, act: Activation) -> list[nn.Module]:
    return [
        nn.BatchNorm2d(channels_in),
        activation(act),
        nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
    ]
