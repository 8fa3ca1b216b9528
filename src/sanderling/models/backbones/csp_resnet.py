"""ResNet-50 and ResNeXt-50 as CSPNet compares them, plain and cross stage partial: maps of strides 8, 16 and 32.

https://arxiv.org/abs/1911.11929, figure 5, in Darknet's form: nothing projects an identity, so that the sum of unlike
widths is an asymmetric one. Layers by the sheet on gradient paths, section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation, activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.partial_residual import add_first_channels

Count = Annotated[int, Field(gt=0)]
Four = tuple[Count, Count, Count, Count]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainResNetConfig:
    """Widths of the 3x3 and of the outputs, blocks, stage by stage; the defaults are ResNet-50's."""

    kind: Literal["plain_resnet"] = "plain_resnet"
    stem: Count = 64
    hidden: Four = (64, 128, 256, 512)
    channels: Four = (256, 512, 1024, 2048)
    repeats: Four = (3, 4, 6, 3)
    groups: Count = 1
    """Of the 3x3; 32 in ResNeXt-50."""
    act: Activation = "leaky_relu"

    def build(self) -> PlainResNet:
        """Make the backbone with freshly drawn weights."""
        return PlainResNet(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class CspResNetConfig:
    """Widths of the 3x3, of both paths and of the outputs, blocks, stage by stage; the defaults are CSPResNet50's."""

    kind: Literal["csp_resnet"] = "csp_resnet"
    stem: Count = 64
    hidden: Four = (64, 128, 256, 512)
    paths: Four = (128, 256, 512, 1024)
    channels: Four = (128, 256, 512, 1024)
    repeats: Four = (3, 3, 5, 2)
    groups: Count = 1
    """Of the 3x3, those that halve the resolution among them where above 1; 32 in CSPResNeXt50."""
    act: Activation = "leaky_relu"

    def build(self) -> CspResNet:
        """Make the backbone with freshly drawn weights."""
        return CspResNet(self)


class _FourStages(nn.Module):
    """Stem of stride 4 and four stages, of which the last three are handed on."""

    def __init__(self, *stages: nn.Sequential, stem: int, act: Activation, channels: Four) -> None:
        super().__init__()
        self.features = FeatureSpec(channels[1:], (8, 16, 32))
        self.stem = nn.Sequential(ConvNormAct(3, stem, 7, stride=2, act=act), nn.MaxPool2d(2, 2))
        self.stage1, self.stage2, self.stage3, self.stage4 = stages

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps of strides 8, 16 and 32."""
        fine = self.stage2(self.stage1(self.stem(x)))
        middle = self.stage3(fine)
        return [fine, middle, self.stage4(middle)]


class PlainResNet(_FourStages):
    """The first 3x3 of the second to fourth stage halves the resolution."""

    def __init__(self, config: PlainResNetConfig) -> None:
        before = (config.stem, *config.channels)

        def block(index: int, *, first: bool) -> ResBlock:
            return ResBlock(
                before[index] if first else config.channels[index],
                config.channels[index],
                hidden=config.hidden[index],
                groups=config.groups,
                stride=2 if first and index else 1,
                act=config.act,
            )

        super().__init__(
            *(
                nn.Sequential(*(block(index, first=not number) for number in range(config.repeats[index])))
                for index in range(4)
            ),
            stem=config.stem,
            act=config.act,
            channels=config.channels,
        )


class CspResNet(_FourStages):
    """Between two stages a 3x3 halves the resolution; the paths of the two middle stages start without activation."""

    def __init__(self, config: CspResNetConfig) -> None:
        before = (config.stem, *config.channels)

        def down(channels: int) -> ConvNormAct:
            return ConvNormAct(channels, channels, 3, stride=2, groups=config.groups, act=config.act)

        super().__init__(
            nn.Sequential(CspResStage(before[0], config, 0)),
            *(nn.Sequential(down(before[index]), CspResStage(before[index], config, index)) for index in (1, 2, 3)),
            stem=config.stem,
            act=config.act,
            channels=config.channels,
        )


class CspResStage(nn.Module):
    """Two 1x1 to the paths, blocks and a 1x1 on one of them, joint, 1x1."""

    def __init__(self, channels_in: int, config: CspResNetConfig, index: int) -> None:
        super().__init__()
        act, path = config.act, config.paths[index]
        starting: Activation = "identity" if index in (1, 2) else act
        # The first stage starts its blocks as narrow as the stem is.
        width = path if index else channels_in
        self.cross = ConvNormAct(channels_in, path, 1, act=starting)
        self.enter = ConvNormAct(channels_in, width, 1, act=starting)
        widths = (width, *([path] * (config.repeats[index] - 1)))
        self.blocks = nn.Sequential(
            *(ResBlock(w, path, hidden=config.hidden[index], groups=config.groups, stride=1, act=act) for w in widths)
        )
        self.leave = ConvNormAct(path, path, 1, act=act)
        self.join = ConvNormAct(2 * path, config.channels[index], 1, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels, H, W)."""
        worked = self.leave(self.blocks(self.enter(x)))
        return self.join(torch.cat((worked, self.cross(x)), 1))


class ResBlock(nn.Module):
    """1x1, 3x3, 1x1 without activation; the input added on the channels that both have; activation.

    Where the 3x3 halves the resolution, every second row and column of the input is added, as Darknet does.
    """

    def __init__(
        self, channels_in: int, channels_out: int, *, hidden: int, groups: int, stride: int, act: Activation
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNormAct(channels_in, hidden, 1, act=act),
            ConvNormAct(hidden, hidden, 3, stride=stride, groups=groups, act=act),
            ConvNormAct(hidden, channels_out, 1, act="identity"),
        )
        self.shared = min(channels_in, channels_out)
        self.stride = stride
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, ceil(H / stride), ceil(W / stride))."""
        identity = x if self.stride == 1 else x[:, :, :: self.stride, :: self.stride]
        return self.act(add_first_channels(self.body(x), identity, self.shared))
