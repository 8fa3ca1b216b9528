"""Path aggregation: a feature pyramid and a second path from fine to coarse, https://arxiv.org/abs/1803.01534."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sanderling.models.features import FeatureSpec
from sanderling.models.necks.fpn import Fpn
from sanderling.models.necks.levels import expect_doubling


@dataclass(frozen=True, kw_only=True, slots=True)
class PanConfig:
    """Width of all output levels."""

    kind: Literal["pan"] = "pan"
    channels: Annotated[int, Field(gt=0)] = 256

    def build(self, features: FeatureSpec) -> Pan:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: the levels' strides do not double.
        """
        expect_doubling(features, kind=self.kind)
        return Pan(features, channels=self.channels)


class Pan(nn.Module):
    """A feature pyramid; then per level a 3x3 of stride 2, added to the next level, and a 3x3, both with ReLU."""

    def __init__(self, features: FeatureSpec, *, channels: int) -> None:
        super().__init__()
        self.top_down = Fpn(features, channels=channels)
        self.features = self.top_down.features
        steps = range(len(features.strides) - 1)
        self.down = nn.ModuleList(nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in steps)
        self.fuse = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in steps)
        for conv in (*self.down, *self.fuse):
            nn.init.kaiming_uniform_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone to as many maps of one width, finest first."""
        pyramid = self.top_down(maps)
        levels = pyramid[:1]
        for down, fuse, coarse in zip(self.down, self.fuse, pyramid[1:], strict=True):
            levels.append(F.relu(fuse(coarse + F.relu(down(levels[-1])))))
        return levels
