"""NanoDet's path aggregation without convolutions: one 1x1 per level, then only resizing and adding.

NanoDet v0.1; the structure of PANet, https://arxiv.org/abs/1803.01534.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.necks.resize import bilinear_like


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyPanConfig:
    """Width of all output levels."""

    kind: Literal["tiny_pan"] = "tiny_pan"
    channels: Annotated[int, Field(gt=0)] = 96

    def build(self, features: FeatureSpec) -> TinyPan:
        """Make the neck for a backbone's features."""
        return TinyPan(features, channels=self.channels)


class TinyPan(nn.Module):
    """Lateral 1x1 with bias and neither norm nor activation; top-down and bottom-up by bilinear resizing and adding."""

    def __init__(self, features: FeatureSpec, *, channels: int) -> None:
        super().__init__()
        self.features = FeatureSpec((channels,) * len(features.strides), features.strides)
        self.lateral_convs = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in features.channels)
        for name, parameter in self.named_parameters():
            if name.endswith(".bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.xavier_uniform_(parameter)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone to as many maps of one width, finest first."""
        levels = [conv(x) for conv, x in zip(self.lateral_convs, maps, strict=True)]
        for level in range(len(levels) - 1, 0, -1):
            levels[level - 1] = levels[level - 1] + bilinear_like(levels[level], levels[level - 1])
        for level in range(len(levels) - 1):
            levels[level + 1] = levels[level + 1] + bilinear_like(levels[level], levels[level + 1])
        return levels
