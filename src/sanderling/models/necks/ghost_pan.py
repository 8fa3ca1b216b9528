"""NanoDet-Plus's path aggregation of ghost blocks, with a coarser level added at the end.

https://github.com/RangiLyu/nanodet, v1.0; the paths are PANet's, https://arxiv.org/abs/1803.01534, the blocks
GhostNet's, https://arxiv.org/abs/1911.11907.
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
from sanderling.models.layers.ghost import GhostBottleneck
from sanderling.models.layers.separable import SeparableConv
from sanderling.models.necks.levels import expect_doubling
from sanderling.models.necks.resize import bilinear_like


@dataclass(frozen=True, kw_only=True, slots=True)
class GhostPanConfig:
    """What may be chosen; levels and their channels come from the backbone."""

    kind: Literal["ghost_pan"] = "ghost_pan"
    channels: Annotated[int, Field(gt=0, multiple_of=2)] = 96
    """Width of all output levels."""
    kernel: Literal[3, 5] = 5
    """Of the convolutions that halve a map and of the shortcuts."""
    extra_level: bool = True
    """One level more than the backbone has, of twice its largest stride, sides rounded up."""
    act: Activation = "leaky_relu"

    def build(self, features: FeatureSpec) -> GhostPan:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: the levels' strides do not double.
        """
        expect_doubling(features, kind=self.kind)
        return GhostPan(
            features, channels=self.channels, kernel=self.kernel, extra_level=self.extra_level, act=self.act
        )


class GhostPan(nn.Module):
    """Levels reduced to one width, fused from coarse to fine and back, each time by a ghost block on a pair of maps."""

    def __init__(
        self, features: FeatureSpec, *, channels: int, kernel: int, extra_level: bool, act: Activation
    ) -> None:
        super().__init__()
        strides = (*features.strides, features.strides[-1] * 2) if extra_level else features.strides
        self.features = FeatureSpec((channels,) * len(strides), strides)

        def fuse() -> nn.Module:
            return _Fuse(2 * channels, channels, kernel=kernel, act=act)

        def halve() -> SeparableConv:
            return SeparableConv(channels, channels, kernel=kernel, stride=2, act=act)

        self.reduce_layers = nn.ModuleList(ConvNormAct(width, channels, 1, act=act) for width in features.channels)
        steps = len(features.strides) - 1
        self.top_down_blocks = nn.ModuleList(fuse() for _ in range(steps))
        self.downsamples = nn.ModuleList(halve() for _ in range(steps))
        self.bottom_up_blocks = nn.ModuleList(fuse() for _ in range(steps))
        self.extra_lvl_in_conv = nn.ModuleList(halve() for _ in range(int(extra_level)))
        self.extra_lvl_out_conv = nn.ModuleList(halve() for _ in range(int(extra_level)))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone to maps of one width, finest first, the extra level last."""
        reduced = [layer(x) for layer, x in zip(self.reduce_layers, maps, strict=True)]
        fused = [reduced[-1]]
        for fuse, finer in zip(self.top_down_blocks, reversed(reduced[:-1]), strict=True):
            fused.insert(0, fuse(torch.cat((bilinear_like(fused[0], finer), finer), 1)))
        levels = [fused[0]]
        for halve, fuse, coarser in zip(self.downsamples, self.bottom_up_blocks, fused[1:], strict=True):
            levels.append(fuse(torch.cat((halve(levels[-1]), coarser), 1)))
        for from_backbone, from_last in zip(self.extra_lvl_in_conv, self.extra_lvl_out_conv, strict=True):
            levels.append(from_backbone(reduced[-1]) + from_last(levels[-1]))
        return levels


class _Fuse(nn.Module):
    """A ghost block, one level deeper in the key names as published, where several could follow one another."""

    def __init__(self, channels_in: int, channels_out: int, *, kernel: int, act: Activation) -> None:
        super().__init__()
        self.blocks = nn.Sequential(GhostBottleneck(channels_in, channels_out, shortcut_kernel=kernel, act=act))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)
