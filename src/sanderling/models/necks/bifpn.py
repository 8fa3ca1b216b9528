"""Bi-directional feature pyramid, repeated: EfficientDet's neck, https://arxiv.org/abs/1911.09070.

Only the levels of the backbone take part; EfficientDet makes two coarser ones of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.necks.levels import expect_doubling
from sanderling.models.necks.resize import nearest_like

_EPS = 1e-3
_SMALLEST_SUM = 1e-4

Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class BiFpnConfig:
    """Width of all levels, and how many times they are fused."""

    kind: Literal["bifpn"] = "bifpn"
    channels: Count = 64
    repeats: Count = 3

    def build(self, features: FeatureSpec) -> BiFpn:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: the levels' strides do not double.
        """
        expect_doubling(features, kind=self.kind)
        return BiFpn(features, channels=self.channels, repeats=self.repeats)


class BiFpn(nn.Module):
    """1x1 and BatchNorm per level to one width, then so many rounds."""

    def __init__(self, features: FeatureSpec, *, channels: int, repeats: int) -> None:
        super().__init__()
        levels = len(features.strides)
        self.features = FeatureSpec((channels,) * levels, features.strides)
        self.lateral = nn.ModuleList(
            ConvNormAct(width, channels, 1, act="identity", eps=_EPS) for width in features.channels
        )
        self.rounds = nn.ModuleList(_Round(levels, channels) for _ in range(repeats))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone to as many maps of one width, finest first."""
        levels = [conv(x) for conv, x in zip(self.lateral, maps, strict=True)]
        for fuse in self.rounds:
            levels = fuse(levels)
        return levels


class _Round(nn.Module):
    """Once from coarse to fine and once from fine to coarse; levels between the ends also see their own input again."""

    def __init__(self, levels: int, channels: int) -> None:
        super().__init__()
        self.up = nn.ModuleList(_Node(2, channels) for _ in range(levels - 1))
        self.down = nn.ModuleList(_Node(3 if level < levels - 1 else 2, channels) for level in range(1, levels))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        levels = list(maps)
        for level in range(len(maps) - 2, -1, -1):
            above = nearest_like(levels[level + 1], maps[level])
            levels[level] = self.up[level]([maps[level], above])
        for level in range(1, len(maps)):
            below = F.max_pool2d(levels[level - 1], 3, 2, 1)
            own = [maps[level], levels[level]] if level < len(maps) - 1 else [maps[level]]
            levels[level] = self.down[level - 1]([*own, below])
        return levels


class _Node(nn.Module):
    """Fast normalised fusion: a mean with learned weights that are kept positive; then swish and a separable 3x3."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.shares = nn.Parameter(torch.ones(inputs))
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = ConvNormAct(channels, channels, 1, act="identity", eps=_EPS)

    def forward(self, maps: list[Tensor]) -> Tensor:
        shares = self.shares.relu()
        shares = shares / (shares.sum() + _SMALLEST_SUM)
        mean = maps[0] * shares[0]
        for place, x in enumerate(maps[1:], start=1):
            mean = mean + x * shares[place]
        return self.pointwise(self.depthwise(F.silu(mean)))
