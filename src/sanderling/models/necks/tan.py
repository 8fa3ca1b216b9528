"""NanoDet-t's neck: all levels meet on the middle one, a transformer looks at all of it, every level gets the result.

https://github.com/RangiLyu/nanodet, v0.4 ("transformer attention network").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.transformer import EncoderLayer
from sanderling.models.necks.resize import bilinear_like

Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class TanConfig:
    """What may be chosen; the levels come from the backbone."""

    kind: Literal["tan"] = "tan"
    channels: Count = 128
    """Width of all output levels; the heads divide it."""
    cells_hw: tuple[Count, Count] = (20, 20)
    """Cells of the middle level that a place is learned for; interpolated for maps of another size."""
    heads: Count = 8
    mlp_ratio: Count = 4
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    act: Activation = "leaky_relu"
    unused_linear: bool = False
    """Carry the linear layer that NanoDet's published checkpoint holds and nothing uses."""

    def build(self, features: FeatureSpec) -> Tan:
        """Make the neck for a backbone's features.

        Raises:
            ModelError: not three levels, or heads that do not divide the channels.
        """
        if len(features.strides) != 3:
            raise ModelError(
                f"neck.kind = 'tan': joins exactly three levels on the middle one, the backbone has "
                f"{len(features.strides)} (strides {', '.join(map(str, features.strides))}); take another neck"
            )
        if self.channels % self.heads:
            raise ModelError(
                f"neck.heads = {self.heads}: must divide neck.channels = {self.channels}; choose another number"
            )
        return Tan(features, config=self)


class Tan(nn.Module):
    """Lateral 1x1 convolutions, a transformer on their concatenation at the middle level, added to each lateral."""

    def __init__(self, features: FeatureSpec, *, config: TanConfig) -> None:
        super().__init__()
        channels = config.channels
        self.features = FeatureSpec((channels,) * 3, features.strides)
        self.lateral_convs = nn.ModuleList(
            ConvNormAct(width, channels, 1, act=config.act) for width in features.channels
        )
        self.transformer = _Transformer(config)
        self.cells_hw = config.cells_hw
        self.pos_embed = nn.Parameter(torch.zeros(config.cells_hw[0] * config.cells_hw[1], 1, channels))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Three maps of the backbone to three maps of one width, finest first."""
        fine, middle, coarse = (conv(x) for conv, x in zip(self.lateral_convs, maps, strict=True))
        joined = torch.cat((bilinear_like(fine, middle), middle, bilinear_like(coarse, middle)), 1)
        seen = self.transformer(joined, self._places(middle))
        return [fine + bilinear_like(seen, fine), middle + seen, coarse + bilinear_like(seen, coarse)]

    def _places(self, like: Tensor) -> Tensor:
        """What is learned about each place of a map: (1, H * W, channels)."""
        if tuple(like.shape[-2:]) == self.cells_hw:
            return self.pos_embed.transpose(0, 1)
        grid = self.pos_embed[:, 0].T.unflatten(1, self.cells_hw)[None]
        return bilinear_like(grid, like).flatten(2).transpose(1, 2)


class _Transformer(nn.Module):
    """A 1x1 convolution with ReLU to the neck's width, places added, one encoder layer."""

    def __init__(self, config: TanConfig) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3 * config.channels, config.channels, 1)
        if config.unused_linear:
            self.linear = nn.Linear(config.channels, config.channels)
            # Distributed training would wait for gradients that never come.
            self.linear.requires_grad_(False)
        self.encoders = nn.Sequential(
            EncoderLayer(
                config.channels,
                heads=config.heads,
                mlp_ratio=config.mlp_ratio,
                dropout=config.dropout,
                act=config.act,
            )
        )

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        x = self.conv(x).relu()
        tokens = self.encoders(x.flatten(2).transpose(1, 2) + places)
        return tokens.transpose(1, 2).unflatten(2, x.shape[-2:])
