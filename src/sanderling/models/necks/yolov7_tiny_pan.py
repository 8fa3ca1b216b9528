"""Path aggregation of YOLOv7-tiny: light pyramid pooling, then down and up again with aggregations of two 3x3 each.

YOLOv7, https://arxiv.org/abs/2207.02696.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.batchnorm import YOLO_EPS, YOLO_MOMENTUM, set_batchnorm
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.elan import Elan
from sanderling.models.layers.pyramid_pool import PyramidPool
from sanderling.models.necks.levels import expect_doubling
from sanderling.models.necks.resize import nearest_like


@dataclass(frozen=True, kw_only=True, slots=True)
class Yolov7TinyPanConfig:
    """Channels of the finest level inside the neck; each coarser one has twice as many, each output as well."""

    kind: Literal["yolov7_tiny_pan"] = "yolov7_tiny_pan"
    width: Annotated[int, Field(gt=0, multiple_of=2)] = 64
    act: Activation = "leaky_relu"

    def build(self, features: FeatureSpec) -> Yolov7TinyPan:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: there are not three levels, each of twice the stride before it.
        """
        expect_doubling(features, kind=self.kind, levels=3)
        return Yolov7TinyPan(features, width=self.width, act=self.act)


class Yolov7TinyPan(nn.Module):
    """Laterals are joined before what comes from the coarser level; a 3x3 stands before each prediction."""

    def __init__(self, features: FeatureSpec, *, width: int, act: Activation) -> None:
        super().__init__()
        fine, middle, coarse = width, 2 * width, 4 * width
        self.features = FeatureSpec((2 * fine, 2 * middle, 2 * coarse), features.strides)

        def conv(channels_in: int, channels_out: int, kernel: int = 1, stride: int = 1) -> ConvNormAct:
            return ConvNormAct(channels_in, channels_out, kernel, stride=stride, act=act)

        def block(channels_in: int, channels_out: int) -> Elan:
            half = channels_out // 2
            return Elan(channels_in, channels_out, width=half, chain=half, depth=2, stack=1, act=act)

        self.pool = LightPyramidPool(features.channels[2], coarse, act=act)
        self.middle_up, self.middle_lateral = conv(coarse, middle), conv(features.channels[1], middle)
        self.middle_down = block(2 * middle, middle)
        self.fine_up, self.fine_lateral = conv(middle, fine), conv(features.channels[0], fine)
        self.fine = block(2 * fine, fine)
        self.to_middle, self.middle = conv(fine, middle, 3, 2), block(2 * middle, middle)
        self.to_coarse, self.coarse = conv(middle, coarse, 3, 2), block(2 * coarse, coarse)
        self.outs = nn.ModuleList(conv(level, 2 * level, 3) for level in (fine, middle, coarse))
        set_batchnorm(self, eps=YOLO_EPS, momentum=YOLO_MOMENTUM)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Three maps of the backbone to as many of the same sizes, finest first."""
        coarse = self.pool(maps[2])
        above = nearest_like(self.middle_up(coarse), maps[1])
        middle = self.middle_down(torch.cat((self.middle_lateral(maps[1]), above), 1))
        above = nearest_like(self.fine_up(middle), maps[0])
        fine = self.fine(torch.cat((self.fine_lateral(maps[0]), above), 1))
        middle = self.middle(torch.cat((self.to_middle(fine), middle), 1))
        coarse = self.coarse(torch.cat((self.to_coarse(middle), coarse), 1))
        return [out(x) for out, x in zip(self.outs, (fine, middle, coarse), strict=True)]


class LightPyramidPool(nn.Module):
    """Pyramid pooling between two 1x1, beside a third; a fourth joins both paths."""

    def __init__(self, channels_in: int, channels_out: int, *, act: Activation) -> None:
        super().__init__()
        self.cross = ConvNormAct(channels_in, channels_out, 1, act=act)
        self.before = ConvNormAct(channels_in, channels_out, 1, act=act)
        self.pool = PyramidPool((5, 9, 13), input_last=True)
        self.after = ConvNormAct(4 * channels_out, channels_out, 1, act=act)
        self.join = ConvNormAct(2 * channels_out, channels_out, 1, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H, W)."""
        crossed = self.cross(x)
        return self.join(torch.cat((self.after(self.pool(self.before(x))), crossed), 1))
