"""Feature pyramid: what the coarse maps mean is added to the fine ones, https://arxiv.org/abs/1612.03144."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.necks.levels import expect_doubling
from sanderling.models.necks.resize import nearest_like


@dataclass(frozen=True, kw_only=True, slots=True)
class FpnConfig:
    """Width of all output levels."""

    kind: Literal["fpn"] = "fpn"
    channels: Annotated[int, Field(gt=0)] = 256

    def build(self, features: FeatureSpec) -> Fpn:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: the levels' strides do not double.
        """
        expect_doubling(features, kind=self.kind)
        return Fpn(features, channels=self.channels)


class Fpn(nn.Module):
    """Lateral 1x1 per level, top-down by nearest neighbours and adding, 3x3 per level; biases, no normalisation."""

    def __init__(self, features: FeatureSpec, *, channels: int) -> None:
        super().__init__()
        self.features = FeatureSpec((channels,) * len(features.strides), features.strides)
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in features.channels)
        self.smooth = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in features.channels)
        for conv in (*self.lateral, *self.smooth):
            nn.init.kaiming_uniform_(conv.weight, a=1)
            nn.init.zeros_(conv.bias)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone to as many maps of one width, finest first."""
        levels = [conv(x) for conv, x in zip(self.lateral, maps, strict=True)]
        for level in range(len(levels) - 1, 0, -1):
            levels[level - 1] = levels[level - 1] + nearest_like(levels[level], levels[level - 1])
        return [conv(x) for conv, x in zip(self.smooth, levels, strict=True)]
