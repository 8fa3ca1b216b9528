"""YOLOv3's neck: five convolutions per level, coarse to fine, each level before it seen in double size.

https://arxiv.org/abs/1804.02767; parts stand from coarse to fine, as in darknet and PaddleDetection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.necks.levels import expect_doubling, expect_one_each
from sanderling.models.necks.top_down import RouteAndTip, top_down

Even = Annotated[int, Field(gt=0, multiple_of=2)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Yolov3FpnConfig:
    """Inner width of every level."""

    kind: Literal["yolov3_fpn"] = "yolov3_fpn"
    channels: tuple[Even, ...] = (128, 256, 512)
    """Of the 1x1 convolutions, finest first; the maps that are handed on have twice as many."""
    act: Activation = "leaky_relu"

    def build(self, features: FeatureSpec) -> Yolov3Fpn:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: another number of levels than there are widths for, or their strides do not double.
        """
        expect_doubling(features, kind=self.kind)
        expect_one_each(features, self.channels, key="neck.channels")
        return Yolov3Fpn(features, channels=self.channels, act=self.act)


class Yolov3Fpn(nn.Module):
    """A detection block per level; between two levels a 1x1 to half the width, doubled in size, before the next map."""

    def __init__(self, features: FeatureSpec, *, channels: tuple[int, ...], act: Activation) -> None:
        super().__init__()
        self.features = FeatureSpec(tuple(2 * width for width in channels), features.strides)
        from_coarse = list(zip(features.channels, channels, strict=True))[::-1]
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleList()
        above = 0
        for level, (channels_in, width) in enumerate(from_coarse):
            if level > 0:
                before = from_coarse[level - 1][1]
                above = before // 2
                self.transitions.append(ConvNormAct(before, above, 1, act=act))
            self.blocks.append(_block(above + channels_in, width, act=act))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone to as many maps, finest first."""
        return top_down(maps, self.blocks, list(self.transitions))


def _block(channels_in: int, width: int, *, act: Activation) -> RouteAndTip:
    """1x1 and 3x3 by turns: five of them lead to the route to finer levels, one more to the tip for the head."""
    route = nn.Sequential(
        ConvNormAct(channels_in, width, 1, act=act),
        ConvNormAct(width, 2 * width, 3, act=act),
        ConvNormAct(2 * width, width, 1, act=act),
        ConvNormAct(width, 2 * width, 3, act=act),
        ConvNormAct(2 * width, width, 1, act=act),
    )
    return RouteAndTip(route, ConvNormAct(width, 2 * width, 3, act=act))
