"""The neck of YOLOv3-tiny-PRN: that of YOLOv3-tiny with partial residuals where it joined maps.

PRN, "Enriching Variety of Layer-wise Learning Information by Gradient Combination", ICCV workshops 2019; layer by layer
https://github.com/WongKinYiu/PartialResidualNetworks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation, activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.necks.levels import expect_doubling
from sanderling.models.necks.resize import nearest_like


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyPrnConfig:
    """Channels of the coarse level; the fine one has half as many."""

    kind: Literal["tiny_prn"] = "tiny_prn"
    width: Annotated[int, Field(gt=0, multiple_of=2)] = 256
    act: Activation = "leaky_relu"

    def build(self, features: FeatureSpec) -> TinyPrn:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: there are not two levels, the second of twice the stride of the first, or the first one has
                fewer channels than the fine level.
        """
        expect_doubling(features, kind=self.kind, levels=2)
        if features.channels[0] < self.width // 2:
            raise ModelError(
                f"neck.width = {self.width}: half of it is taken from the fine map, which has {features.channels[0]} "
                f"channels; use at most {2 * features.channels[0]}"
            )
        return TinyPrn(features, width=self.width, act=self.act)


class TinyPrn(nn.Module):
    """Every addition is followed by the activation; of the fine map only the first channels are added."""

    def __init__(self, features: FeatureSpec, *, width: int, act: Activation) -> None:
        super().__init__()
        self.features = FeatureSpec((width // 2, width), features.strides)
        self.narrow = ConvNormAct(features.channels[1], width, 1, act=act)
        self.coarse = ConvNormAct(width, width, 3, act=act)
        self.lateral = ConvNormAct(width, width // 2, 1, act=act)
        self.fine = ConvNormAct(width // 2, width // 2, 3, act=act)
        self.act = activation(act)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Two maps of the backbone to two, finest first."""
        narrow = self.narrow(maps[1])
        coarse = self.coarse(narrow)
        doubled = nearest_like(self.lateral(coarse), maps[0])
        some = maps[0][:, : self.features.channels[0]]
        fine = self.act(self.fine(self.act(doubled + some)) + doubled)
        return [self.act(fine + some), self.act(coarse + narrow)]
