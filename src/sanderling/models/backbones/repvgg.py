"""RepVGG: plain 3x3 convolutions once deployed, three parallel branches each while training.

https://arxiv.org/abs/2101.03697; key names as in the authors' weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.reparameterised import RepConv

Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class RepVggConfig:
    """Channels of the stem and of the four stages, and blocks per stage; the defaults are A0's."""

    kind: Literal["repvgg"] = "repvgg"
    stem: Count = 48
    channels: tuple[Count, Count, Count, Count] = (48, 96, 192, 1280)
    blocks: tuple[Count, Count, Count, Count] = (2, 4, 14, 1)
    act: Activation = "relu"
    deployed: bool = False
    """Branches merged into one convolution: what ships."""

    def build(self) -> RepVgg:
        """Make the backbone with freshly drawn weights."""
        return RepVgg(stem=self.stem, channels=self.channels, blocks=self.blocks, act=self.act, deployed=self.deployed)


class RepVgg(nn.Module):
    """Stem (stride 2) and four stages that each halve the map first; the last three are handed on."""

    def __init__(
        self,
        *,
        stem: int,
        channels: tuple[int, int, int, int],
        blocks: tuple[int, int, int, int],
        act: Activation,
        deployed: bool,
    ) -> None:
        super().__init__()
        self.features = FeatureSpec(channels[1:], (8, 16, 32))
        self.stage0 = RepConv(3, stem, stride=2, act=act, deployed=deployed)
        before = (stem, *channels[:3])
        self.stage1, self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(
                RepConv(channels_in, channels_out, stride=2, act=act, deployed=deployed),
                *(RepConv(channels_out, channels_out, act=act, deployed=deployed) for _ in range(count - 1)),
            )
            for channels_in, channels_out, count in zip(before, channels, blocks, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps of strides 8, 16 and 32."""
        fine = self.stage2(self.stage1(self.stage0(x)))
        middle = self.stage3(fine)
        return [fine, middle, self.stage4(middle)]
