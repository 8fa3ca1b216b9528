"""YOLO-ReT's light aggregation: one small block before every link, all links by 1x1 and concatenation.

https://arxiv.org/abs/2110.13713, section 4.1; `fpn` and `pan` as in the authors' code, where every block gives as many
channels as the head has outputs. Of the paths `none` and `bifpn` only results are published, no code: `none` keeps the
blocks and leaves the links out; `bifpn` has the links of EfficientDet (https://arxiv.org/abs/1911.09070) and the blocks
of the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.inverted_residual import InvertedResidual
from sanderling.models.necks.levels import expect_doubling, expect_one_each
from sanderling.models.necks.resize import nearest_like, pooled

_EPS = 1e-3

Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class YoloretNeckConfig:
    """Which way features take, and widths."""

    kind: Literal["yoloret"] = "yoloret"
    path: Literal["none", "fpn", "pan", "bifpn"] = "pan"
    repeats: Count = 1
    """Rounds of `bifpn`."""
    width: Count | Literal["classes"] = "classes"
    """Channels that each block gives. `classes` is the published accident: 3 * (classes + 5), the outputs of a head
    with three anchors, so that weights fit detectors of the same number of classes only. A block adds its input where
    it has as many channels as it gives: a width equal to a level's `hidden` makes that level's last block residual."""
    hidden: tuple[Count, ...] = (128, 256, 512)
    """Channels inside the blocks of each level, finest first; links have those of the finer level."""

    def __post_init__(self) -> None:
        """Only one of the paths has rounds."""
        if self.repeats > 1 and self.path != "bifpn":
            raise ValueError(
                f"repeats = {self.repeats}: the path {self.path!r} runs once; repeats needs path = 'bifpn'"
            )

    def for_classes(self, classes: int) -> YoloretNeckConfig:
        """The same neck with a width that is a number."""
        return dataclasses.replace(self, width=width_of_classes(classes)) if self.width == "classes" else self

    def build(self, features: FeatureSpec) -> YoloretNeck:
        """Make the neck for the features of a backbone, or of RFCR.

        Raises:
            ModelError: the levels' strides do not double, `hidden` is for another number of levels, or the width still
                waits for the number of classes.
        """
        expect_doubling(features, kind=self.kind)
        expect_one_each(features, self.hidden, key="neck.hidden")
        if self.width == "classes":
            raise ModelError(
                "neck.width = 'classes': a neck alone does not know the classes; use for_classes, or a number instead"
            )
        return YoloretNeck(features, path=self.path, repeats=self.repeats, width=self.width, hidden=self.hidden)


def width_of_classes(classes: int) -> int:
    """What `width = "classes"` means: the outputs of a head with three anchors."""
    return 3 * (classes + 5)


class YoloretNeck(nn.Module):
    """All levels come out with `width` channels."""

    def __init__(
        self,
        features: FeatureSpec,
        *,
        path: Literal["none", "fpn", "pan", "bifpn"],
        repeats: int,
        width: int,
        hidden: tuple[int, ...],
    ) -> None:
        super().__init__()
        even = (width,) * len(hidden)
        self.features = FeatureSpec(even, features.strides)
        match path:
            case "none":
                parts: list[nn.Module] = [_Levels(features.channels, hidden, width)]
            case "fpn":
                parts = [_TopDown(features.channels, hidden, width)]
            case "pan":
                parts = [_TopDown(features.channels, hidden, width), _BottomUp(hidden, width)]
            case "bifpn":
                parts = [_Round(features.channels if turn == 0 else even, hidden, width) for turn in range(repeats)]
        self.parts = nn.Sequential(*parts)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone or of RFCR to as many maps of one width, finest first."""
        return self.parts(maps)


class _Levels(nn.Module):
    """A block per level, no links."""

    def __init__(self, channels: Sequence[int], hidden: Sequence[int], width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(map(_block, channels, hidden, (width,) * len(hidden)))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [block(x) for block, x in zip(self.blocks, maps, strict=True)]


class _TopDown(nn.Module):
    """From coarse to fine: a block per level, fed by its own map and by the block above."""

    def __init__(self, channels: Sequence[int], hidden: Sequence[int], width: int) -> None:
        super().__init__()
        linked = [*hidden[:-1], 0]
        self.blocks = nn.ModuleList(
            _block(own + link, inner, width) for own, link, inner in zip(channels, linked, hidden, strict=True)
        )
        self.links = nn.ModuleList(_link(width, inner) for inner in hidden[:-1])

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        levels = [self.blocks[-1](maps[-1])]
        for level in range(len(maps) - 2, -1, -1):
            above = nearest_like(self.links[level](levels[0]), maps[level])
            levels.insert(0, self.blocks[level](torch.cat((above, maps[level]), 1)))
        return levels


class _BottomUp(nn.Module):
    """From fine to coarse: a block per level, fed by its own map and by the block below."""

    def __init__(self, hidden: Sequence[int], width: int) -> None:
        super().__init__()
        linked = [0, *hidden[:-1]]
        self.blocks = nn.ModuleList(
            _block(link + width, inner, width) for link, inner in zip(linked, hidden, strict=True)
        )
        self.links = nn.ModuleList(_link(width, inner) for inner in hidden[:-1])

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        levels = [self.blocks[0](maps[0])]
        for level in range(1, len(maps)):
            below = pooled(self.links[level - 1](levels[-1]), 2)
            levels.append(self.blocks[level](torch.cat((below, maps[level]), 1)))
        return levels


class _Round(nn.Module):
    """A round of BiFPN: both ways; levels between the ends see their own map again on the way from fine to coarse."""

    def __init__(self, channels: Sequence[int], hidden: Sequence[int], width: int) -> None:
        super().__init__()
        top = len(hidden) - 1
        self.up_links = nn.ModuleList(
            _link(channels[top] if level == top - 1 else width, hidden[level]) for level in range(top)
        )
        self.up = nn.ModuleList(_block(hidden[level] + channels[level], hidden[level], width) for level in range(top))
        self.down_links = nn.ModuleList(_link(width, inner) for inner in hidden[:-1])
        self.down = nn.ModuleList(
            _block(hidden[level - 1] + channels[level] + (width if level < top else 0), hidden[level], width)
            for level in range(1, top + 1)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        top = len(maps) - 1
        levels = list(maps)
        for level in range(top - 1, -1, -1):
            above = nearest_like(self.up_links[level](levels[level + 1]), maps[level])
            levels[level] = self.up[level](torch.cat((above, maps[level]), 1))
        for level in range(1, top + 1):
            below = pooled(self.down_links[level - 1](levels[level - 1]), 2)
            own = [maps[level], levels[level]] if level < top else [maps[level]]
            levels[level] = self.down[level - 1](torch.cat([below, *own], 1))
        return levels


def _block(channels: int, hidden: int, width: int) -> nn.Module:
    """1x1 to `hidden`, then an MBConv with squeeze and excitation and without expansion."""
    return nn.Sequential(
        ConvNormAct(channels, hidden, 1, act="relu6", eps=_EPS),
        InvertedResidual(hidden, width, expanded=hidden, squeezed=max(1, hidden // 4), act="silu", eps=_EPS),
    )


def _link(channels: int, hidden: int) -> nn.Module:
    return ConvNormAct(channels, hidden, 1, act="relu6", eps=_EPS)
