"""VoVNet: modules whose convolutions are joined once, and stages re-planned for shorter gradient paths.

https://arxiv.org/abs/1904.09730, table 1, with the stem of stride 4 of the authors' detectors; re-planned stages by
https://arxiv.org/abs/2211.04800, section 3.3. No identities and no channel attention (those are VoVNetV2's).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct

Count = Annotated[int, Field(gt=0)]
Four = tuple[Count, Count, Count, Count]


@dataclass(frozen=True, kw_only=True, slots=True)
class VoVNetConfig:
    """Modules of each stage and their widths; the defaults are VoVNet-39's."""

    kind: Literal["vovnet"] = "vovnet"
    stem: Count = 64
    modules: Four = (1, 1, 2, 2)
    widths: Four = (128, 160, 192, 224)
    channels: Four = (256, 512, 768, 1024)
    depth: Count = 5
    """3x3 convolutions of a module."""
    stages: Literal["modules", "replanned", "replanned_by_module"] = "modules"
    """`replanned` leaves out all transitions of a stage but its last and joins every 3x3 there; `replanned_by_module`
    joins only the last 3x3 of each module."""
    act: Activation = "relu"

    def build(self) -> VoVNet:
        """Make the backbone with freshly drawn weights."""
        return VoVNet(self)


class VoVNet(nn.Module):
    """Stem of stride 4 and four stages, of which the last three are handed on."""

    def __init__(self, config: VoVNetConfig) -> None:
        super().__init__()
        self.features = FeatureSpec(config.channels[1:], (8, 16, 32))
        stem, act = config.stem, config.act
        self.stem = nn.Sequential(
            ConvNormAct(3, stem, 3, stride=2, act=act),
            ConvNormAct(stem, stem, 3, act=act),
            ConvNormAct(stem, 2 * stem, 3, stride=2, act=act),
        )
        before = (2 * stem, *config.channels)
        self.stage1, self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(*_stage(config, index, before[index])) for index in range(4)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps of strides 8, 16 and 32."""
        fine = self.stage2(self.stage1(self.stem(x)))
        middle = self.stage3(fine)
        return [fine, middle, self.stage4(middle)]


def _stage(config: VoVNetConfig, index: int, channels_in: int) -> list[nn.Module]:
    down = [nn.MaxPool2d(3, 2, ceil_mode=True)] if index else []
    width, channels, count = config.widths[index], config.channels[index], config.modules[index]

    def module(before: int, depth: int, stack: int) -> OneShotModule:
        return OneShotModule(before, channels, width=width, depth=depth, stack=stack, act=config.act)

    if config.stages == "modules":
        return [*down, *(module(channels_in if number == 0 else channels, config.depth, 1) for number in range(count))]
    return [*down, module(channels_in, count * config.depth, 1 if config.stages == "replanned" else config.depth)]


class OneShotModule(nn.Module):
    """A chain of 3x3; the input and every `stack`-th output joined once; 1x1.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
        width: channels of each 3x3.
        depth: number of 3x3, a multiple of `stack`.
        stack: 3x3 between two outputs that are joined.
        act: after each convolution.
    """

    def __init__(
        self, channels_in: int, channels_out: int, *, width: int, depth: int, stack: int = 1, act: Activation
    ) -> None:
        super().__init__()
        widths = [channels_in, *([width] * (depth - 1))]
        convs = [ConvNormAct(before, width, 3, act=act) for before in widths]
        self.stacks = nn.ModuleList(nn.Sequential(*convs[first : first + stack]) for first in range(0, depth, stack))
        self.join = ConvNormAct(channels_in + len(self.stacks) * width, channels_out, 1, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H, W)."""
        joined = [x]
        for stack in self.stacks:
            joined.append(stack(joined[-1]))
        return self.join(torch.cat(joined, 1))
