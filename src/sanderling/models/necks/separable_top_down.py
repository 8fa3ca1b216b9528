"""The neck of Yolo-Fastest and MobileNetV2-YOLOv3-Nano: pyramid pooling, one step top-down, depthwise convolutions.

https://github.com/dog-qiuqiu/Yolo-Fastest, https://github.com/dog-qiuqiu/MobileNet-Yolo.
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
from sanderling.models.layers.pyramid_pool import PyramidPool
from sanderling.models.necks.levels import expect_doubling
from sanderling.models.necks.resize import nearest_like

Channels = Annotated[int, Field(gt=0)]
Step = Literal["depthwise"] | Channels


@dataclass(frozen=True, kw_only=True, slots=True)
class SeparableTopDownConfig:
    """The convolutions of both levels, one after another."""

    kind: Literal["separable_top_down"] = "separable_top_down"
    coarse_in: Channels
    """Channels of the 1x1 after pooling; its map also goes to the fine level, doubled, before the backbone's."""
    coarse: tuple[Step, ...]
    """Of the coarse level after that: `depthwise`, or the channels of a 1x1."""
    fine: tuple[Step, ...]
    """Of the fine level, from both joined maps on."""
    kernel: Literal[3, 5]
    """Of the depthwise convolutions."""
    linear: bool
    """A 1x1 right after a depthwise convolution has no activation."""
    act: Activation

    def build(self, features: FeatureSpec) -> SeparableTopDown:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: there are not two levels, the second of twice the stride of the first.
        """
        expect_doubling(features, kind=self.kind, levels=2)
        return SeparableTopDown(features, config=self)


class SeparableTopDown(nn.Module):
    """Maxima over windows of 3, 5 and 9 beside the coarse map, then a chain of convolutions for each level."""

    def __init__(self, features: FeatureSpec, *, config: SeparableTopDownConfig) -> None:
        super().__init__()
        self.pool = PyramidPool((3, 5, 9), input_last=True)
        self.coarse_in = ConvNormAct(4 * features.channels[1], config.coarse_in, 1, act=config.act)
        self.coarse, coarse_out = _chain(config.coarse_in, config.coarse, config)
        self.fine, fine_out = _chain(config.coarse_in + features.channels[0], config.fine, config)
        self.features = FeatureSpec((fine_out, coarse_out), features.strides)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Two maps of the backbone to two, finest first."""
        shared = self.coarse_in(self.pool(maps[1]))
        coarse = self.coarse(shared)
        doubled = nearest_like(shared, maps[0])
        return [self.fine(torch.cat((doubled, maps[0]), 1)), coarse]


def _chain(channels: int, steps: tuple[Step, ...], config: SeparableTopDownConfig) -> tuple[nn.Sequential, int]:
    """The convolutions and the channels that they end with."""
    layers: list[nn.Module] = []
    after_depthwise = False
    for step in steps:
        if step == "depthwise":
            layers.append(ConvNormAct(channels, channels, config.kernel, groups=channels, act=config.act))
        else:
            act: Activation = "identity" if config.linear and after_depthwise else config.act
            layers.append(ConvNormAct(channels, step, 1, act=act))
            channels = step
        after_depthwise = step == "depthwise"
    return nn.Sequential(*layers), channels
