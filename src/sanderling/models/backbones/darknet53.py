"""DarkNet53 without its classifier: feature maps of strides 8, 16 and 32.

YOLOv3, https://arxiv.org/abs/1804.02767. Parts stand in darknet's order, so that its weights fit one after another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.darknet_block import DarknetBlock

Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class DarkNet53Config:
    """Channels of the stem, which double with every stage, and residual blocks per stage."""

    kind: Literal["darknet53"] = "darknet53"
    stem: Annotated[int, Field(gt=0, multiple_of=2)] = 32
    blocks: tuple[Count, Count, Count, Count, Count] = (1, 2, 8, 8, 4)
    act: Activation = "leaky_relu"

    def build(self) -> DarkNet53:
        """Make the backbone with freshly drawn weights."""
        return DarkNet53(stem=self.stem, blocks=self.blocks, act=self.act)


class DarkNet53(nn.Module):
    """A 3x3 stem and five stages, each a 3x3 of stride 2 and residual blocks."""

    def __init__(self, *, stem: int, blocks: tuple[int, int, int, int, int], act: Activation) -> None:
        super().__init__()
        widths = [stem * 2**stage for stage in range(len(blocks) + 1)]
        self.stem = ConvNormAct(3, stem, 3, act=act)
        self.stages = nn.ModuleList(
            nn.Sequential(
                ConvNormAct(narrow, wide, 3, stride=2, act=act),
                *(DarknetBlock(wide, wide, hidden=narrow, act=act) for _ in range(count)),
            )
            for narrow, wide, count in zip(widths, widths[1:], blocks, strict=False)
        )
        self.features = FeatureSpec(tuple(widths[-3:]), (8, 16, 32))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps of strides 8, 16 and 32."""
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[-3:]
