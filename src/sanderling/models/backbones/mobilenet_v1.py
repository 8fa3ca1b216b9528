"""MobileNetV1 without its classifier: a stem and thirteen depthwise-separable convolutions.

https://arxiv.org/abs/1704.04861. The maps of strides 8 and 16 are taken as PaddleDetection's YOLOv3 takes them: right
behind the block that halves the resolution, not at the end of the stage. The five blocks of 512 channels that follow
the second one serve the coarsest map only. Backbones that hand on the ends of their stages give maps of the same shapes
with other features, so weights for one do not suit the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.separable import SeparableConv

_STEM = 32
# Channels and stride of each block.
_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MobileNetV1Config:
    """What may be chosen."""

    kind: Literal["mobilenet_v1"] = "mobilenet_v1"
    width: Annotated[float, Field(gt=0)] = 1.0
    """Factor on all channels."""
    taps: tuple[Annotated[int, Field(ge=1, le=len(_BLOCKS))], ...] = (4, 6, 13)
    """Blocks whose outputs are handed on, counted from 1; (5, 11, 13) are the ends of the stages."""

    def build(self) -> MobileNetV1:
        """Make the backbone with freshly drawn weights; blocks behind the last tap are left out.

        Raises:
            ModelError: no taps, or not in rising order.
        """
        if not self.taps or list(self.taps) != sorted(set(self.taps)):
            raise ModelError(
                f"backbone.taps = {self.taps}: name some of the blocks 1 to {len(_BLOCKS)}, in rising order"
            )
        return MobileNetV1(width=self.width, taps=self.taps)


class MobileNetV1(nn.Module):
    """Stem (stride 2) and separable convolutions, all with BatchNorm and ReLU."""

    def __init__(self, *, width: float, taps: tuple[int, ...]) -> None:
        super().__init__()
        blocks = _BLOCKS[: taps[-1]]
        widths = [max(1, int(channels * width)) for channels in (_STEM, *(channels for channels, _ in blocks))]
        strides = list(accumulate((stride for _, stride in blocks), lambda before, stride: before * stride, initial=2))
        self.taps = taps
        self.features = FeatureSpec(tuple(widths[tap] for tap in taps), tuple(strides[tap] for tap in taps))
        self.stem = ConvNormAct(3, widths[0], 3, stride=2, act="relu")
        self.blocks = nn.ModuleList(
            SeparableConv(narrow, wide, kernel=3, stride=stride, act="relu")
            for narrow, wide, (_, stride) in zip(widths, widths[1:], blocks, strict=False)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to one map per tap, finest first."""
        x = self.stem(x)
        maps = []
        for number, block in enumerate(self.blocks, start=1):
            x = block(x)
            if number in self.taps:
                maps.append(x)
        return maps
