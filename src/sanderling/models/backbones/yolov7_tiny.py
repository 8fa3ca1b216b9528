"""The backbone of YOLOv7-tiny: layer aggregation with pooling between the stages, https://arxiv.org/abs/2207.02696."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.batchnorm import YOLO_EPS, YOLO_MOMENTUM, set_batchnorm
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.elan import Elan


@dataclass(frozen=True, kw_only=True, slots=True)
class Yolov7TinyConfig:
    """Channels of the first convolution; all others follow."""

    kind: Literal["yolov7_tiny"] = "yolov7_tiny"
    width: Annotated[int, Field(gt=0)] = 32
    act: Activation = "leaky_relu"

    def build(self) -> Yolov7Tiny:
        """Make the backbone with freshly drawn weights."""
        return Yolov7Tiny(width=self.width, act=self.act)


class Yolov7Tiny(nn.Module):
    """Two strided convolutions, four aggregations of two 3x3 each; maps of strides 8, 16 and 32."""

    def __init__(self, *, width: int, act: Activation) -> None:
        super().__init__()
        self.features = FeatureSpec((4 * width, 8 * width, 16 * width), (8, 16, 32))

        def block(channels_in: int, inside: int) -> Elan:
            return Elan(channels_in, 2 * inside, width=inside, chain=inside, depth=2, stack=1, act=act)

        self.stem = nn.Sequential(
            ConvNormAct(3, width, 3, stride=2, act=act), ConvNormAct(width, 2 * width, 3, stride=2, act=act)
        )
        self.stride4 = block(2 * width, width)
        self.stride8 = nn.Sequential(nn.MaxPool2d(2, 2), block(2 * width, 2 * width))
        self.stride16 = nn.Sequential(nn.MaxPool2d(2, 2), block(4 * width, 4 * width))
        self.stride32 = nn.Sequential(nn.MaxPool2d(2, 2), block(8 * width, 8 * width))
        set_batchnorm(self, eps=YOLO_EPS, momentum=YOLO_MOMENTUM)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps of strides 8, 16 and 32."""
        fine = self.stride8(self.stride4(self.stem(x)))
        middle = self.stride16(fine)
        return [fine, middle, self.stride32(middle)]
