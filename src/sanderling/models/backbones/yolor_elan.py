"""The ELAN backbone of YOLOR and YOLOv7: feature maps of strides 8, 16 and 32.

https://arxiv.org/abs/2211.04800, section 4.5; with stacks of two it is YOLOv7's, https://arxiv.org/abs/2207.02696.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.batchnorm import YOLO_EPS, YOLO_MOMENTUM, set_batchnorm
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.elan import DoubleDown, Elan

Fourfold = Annotated[int, Field(gt=0, multiple_of=4)]


@dataclass(frozen=True, kw_only=True, slots=True)
class YolorElanConfig:
    """Width of the stem, which all others follow, and how the blocks are stacked."""

    kind: Literal["yolor_elan"] = "yolor_elan"
    stem: Fourfold = 32
    stack: Literal[1, 2] = 2
    """3x3 convolutions between two that are joined; of each block's four, with one they have half the width."""
    act: Activation = "silu"

    def build(self) -> YolorElan:
        """Make the backbone with freshly drawn weights."""
        return YolorElan(stem=self.stem, stack=self.stack, act=self.act)


class YolorElan(nn.Module):
    """Four convolutions to stride 4, then blocks of 8, 16, 32 and 32 times the stem's channels."""

    def __init__(self, *, stem: int, stack: Literal[1, 2], act: Activation) -> None:
        super().__init__()
        self.features = FeatureSpec((16 * stem, 32 * stem, 32 * stem), (8, 16, 32))
        self.stem = nn.Sequential(
            ConvNormAct(3, stem, 3, act=act),
            ConvNormAct(stem, 2 * stem, 3, stride=2, act=act),
            ConvNormAct(2 * stem, 2 * stem, 3, act=act),
            ConvNormAct(2 * stem, 4 * stem, 3, stride=2, act=act),
        )

        def block(channels_in: int, channels_out: int, width: int) -> Elan:
            return Elan(channels_in, channels_out, width=width, chain=width * stack // 2, stack=stack, act=act)

        def down(channels: int) -> DoubleDown:
            return DoubleDown(channels, channels // 2, act=act)

        self.stage2 = block(4 * stem, 8 * stem, 2 * stem)
        self.stage3 = nn.Sequential(down(8 * stem), block(8 * stem, 16 * stem, 4 * stem))
        self.stage4 = nn.Sequential(down(16 * stem), block(16 * stem, 32 * stem, 8 * stem))
        self.stage5 = nn.Sequential(down(32 * stem), block(32 * stem, 32 * stem, 8 * stem))
        set_batchnorm(self, eps=YOLO_EPS, momentum=YOLO_MOMENTUM)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps of strides 8, 16 and 32."""
        fine = self.stage3(self.stage2(self.stem(x)))
        middle = self.stage4(fine)
        return [fine, middle, self.stage5(middle)]
