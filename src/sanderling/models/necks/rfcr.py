"""RFCR: raw maps of the backbone are collected at one stride, mixed, and handed back to every level.

YOLO-ReT, https://arxiv.org/abs/2110.13713, section 3.1, as in the authors' code. It does not replace a feature pyramid
but stands in front of one. It may collect more levels than it hands on: YOLO-ReT collects strides 4 to 32.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.necks.levels import expect_doubling
from sanderling.models.necks.resize import nearest_like, pooled

_EPS, _MOMENTUM = 1e-3, 0.01

Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class RfcrConfig:
    """Widths, and which levels are handed on; all levels of the backbone are collected."""

    kind: Literal["rfcr"] = "rfcr"
    collected: Count = 48
    """Channels that every map is brought to before they are summed."""
    mixed: Count = 96
    """Channels that each level gets in addition to its own."""
    kernel: Literal[3, 5, 7] = 5
    stride: Count = 16
    """Stride at which the maps meet."""
    outputs: tuple[int, ...] = (8, 16, 32)
    """Strides of the levels that are handed on, finest first."""

    def build(self, features: FeatureSpec) -> Rfcr:
        """Make the module for a backbone's features.

        Raises:
            ModelError: the levels' strides do not double, or a level that is named is not among them.
        """
        expect_doubling(features, kind=self.kind)
        for name, wanted in (("stride", (self.stride,)), ("outputs", self.outputs)):
            if not wanted or list(wanted) != [stride for stride in features.strides if stride in wanted]:
                raise ModelError(
                    f"neck.{name} = {getattr(self, name)}: RFCR gets levels of stride "
                    f"{', '.join(map(str, features.strides))}; name some of these, finest first"
                )
        return Rfcr(features, config=self)


class Rfcr(nn.Module):
    """Per level a bare 1x1, a sum with free weights, depthwise kxk and 1x1; the result beside every level's own map."""

    def __init__(self, features: FeatureSpec, *, config: RfcrConfig) -> None:
        super().__init__()
        self.strides, self.stride = features.strides, config.stride
        widths = dict(zip(features.strides, features.channels, strict=True))
        self.features = FeatureSpec(tuple(widths[stride] + config.mixed for stride in config.outputs), config.outputs)
        self.collect = nn.ModuleList(nn.Conv2d(width, config.collected, 1, bias=False) for width in features.channels)
        self.shares = nn.Parameter(torch.ones(len(features.strides)))
        self.mix = nn.Sequential(
            ConvNormAct(
                config.collected,
                config.collected,
                config.kernel,
                groups=config.collected,
                act="relu6",
                eps=_EPS,
                momentum=_MOMENTUM,
            ),
            ConvNormAct(config.collected, config.mixed, 1, act="relu6", eps=_EPS, momentum=_MOMENTUM),
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone to those that are handed on, each with `mixed` channels more, finest first."""
        meeting = maps[self.strides.index(self.stride)]
        collected = [self._collect(level, x, meeting) * self.shares[level] for level, x in enumerate(maps)]
        mixed = self.mix(functools.reduce(torch.add, collected))
        return [
            torch.cat((x, _resize(mixed, self.stride, stride, like=x)), 1)
            for x, stride in zip(maps, self.strides, strict=True)
            if stride in self.features.strides
        ]

    def _collect(self, level: int, x: Tensor, meeting: Tensor) -> Tensor:
        """A level's 1x1 at the stride where all meet; maps four times as fine and finer are pooled before it."""
        stride = self.strides[level]
        if 4 * stride <= self.stride:
            return self.collect[level](_resize(x, stride, self.stride, like=meeting))
        return _resize(self.collect[level](x), stride, self.stride, like=meeting)


def _resize(x: Tensor, stride: int, wanted: int, *, like: Tensor) -> Tensor:
    """Largest value where a map gets smaller, nearest neighbour in the size of `like` where it grows."""
    if wanted > stride:
        return pooled(x, wanted // stride)
    return nearest_like(x, like) if wanted < stride else x
