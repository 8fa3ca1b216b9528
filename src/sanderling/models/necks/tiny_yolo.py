"""The neck of the tiny YOLOs: one 3x3 per level, and from level to finer level a 1x1, doubled and joined.

YOLOv3-tiny, https://arxiv.org/abs/1804.02767; YOLOv4-tiny and its form of three levels, https://arxiv.org/abs/2011.08036.
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
from sanderling.models.necks.levels import expect_doubling, expect_halving
from sanderling.models.necks.resize import nearest_like


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyYoloNeckConfig:
    """Channels of the coarsest level; each finer level has half as many."""

    kind: Literal["tiny_yolo"] = "tiny_yolo"
    width: Annotated[int, Field(gt=0)] = 512
    act: Activation = "leaky_relu"

    def build(self, features: FeatureSpec) -> TinyYoloNeck:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: the levels' strides do not double, or the width does not halve as often as there are levels.
        """
        expect_doubling(features, kind=self.kind)
        expect_halving(self.width, times=len(features.strides), key="neck.width")
        return TinyYoloNeck(features, width=self.width, act=self.act)


class TinyYoloNeck(nn.Module):
    """A 1x1 narrows the coarsest map; it goes on to the finer level before its 3x3, the others after theirs."""

    def __init__(self, features: FeatureSpec, *, width: int, act: Activation) -> None:
        super().__init__()
        last = len(features.strides) - 1
        widths = [width >> (last - level) for level in range(last + 1)]
        self.features = FeatureSpec(tuple(widths), features.strides)
        self.narrow = ConvNormAct(features.channels[-1], width // 2, 1, act=act)
        coarser = [*widths[1:last], width // 2]
        self.laterals = nn.ModuleList(
            ConvNormAct(before, after // 2, 1, act=act) for before, after in zip(coarser, widths[:-1], strict=True)
        )
        inputs = [after // 2 + given for after, given in zip(widths[:-1], features.channels[:-1], strict=True)]
        self.outputs = nn.ModuleList(
            ConvNormAct(before, after, 3, act=act) for before, after in zip([*inputs, width // 2], widths, strict=True)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone to as many, finest first, each of half as many channels as the next."""
        x = self.narrow(maps[-1])
        levels = [self.outputs[-1](x)]
        for level in range(len(maps) - 2, -1, -1):
            doubled = nearest_like(self.laterals[level](x), maps[level])
            x = self.outputs[level](torch.cat((doubled, maps[level]), 1))
            levels.insert(0, x)
        return levels
