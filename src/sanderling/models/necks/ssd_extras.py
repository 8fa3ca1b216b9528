"""SSD's extra levels: the backbone's maps as they are, then coarser ones made from the last, each half as fine.

SSD, https://arxiv.org/abs/1512.02325, in SSDLite's separable form (MobileNetV2, https://arxiv.org/abs/1801.04381) as
TensorFlow's object detection API builds it. A level halves its sides and rounds up: 10, 5, 3, 2, 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.conv import ConvNormAct

_EPS, _DEVIATION = 0.001, 0.03


@dataclass(frozen=True, kw_only=True, slots=True)
class SsdExtrasConfig:
    """Channels of the extra levels."""

    kind: Literal["ssd_extras"] = "ssd_extras"
    channels: tuple[Annotated[int, Field(gt=0, multiple_of=2)], ...] = (512, 256, 256, 128)
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.03
    """Of BatchNorm, the weight of the new statistics; short trainings need more."""

    def build(self, features: FeatureSpec) -> SsdExtras:
        """Make the neck for a backbone's features."""
        return SsdExtras(features, channels=self.channels, momentum=self.momentum)


class SsdExtras(nn.Module):
    """Per extra level 1x1 to half the channels, depthwise 3x3 of stride 2, 1x1 to the channels."""

    def __init__(self, features: FeatureSpec, *, channels: tuple[int, ...], momentum: float) -> None:
        super().__init__()
        strides = tuple(features.strides[-1] * 2 ** (level + 1) for level in range(len(channels)))
        self.features = FeatureSpec((*features.channels, *channels), (*features.strides, *strides))
        self.extras = nn.ModuleList(
            _halve(before, after, momentum=momentum)
            for before, after in zip((features.channels[-1], *channels), channels, strict=False)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=_DEVIATION, a=-2 * _DEVIATION, b=2 * _DEVIATION)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the backbone to these and the extra ones, finest first.

        Raises:
            ModelError: a single picture is to teach a level of a single cell, which has no statistics.
        """
        pictures, _, height, width = maps[-1].shape
        if self.training and pictures == 1 and max(height, width) <= 2 ** len(self.extras):
            raise ModelError(
                f"neck.kind = 'ssd_extras': a batch of one picture gives BatchNorm a single number per channel, as the "
                f"coarsest of {len(self.extras)} extra levels is 1x1; train with batch 2 or more, or a larger input"
            )
        levels = list(maps)
        for extra in self.extras:
            levels.append(extra(levels[-1]))
        return levels


def _halve(channels_in: int, channels: int, *, momentum: float) -> nn.Sequential:
    inner = channels // 2
    return nn.Sequential(
        ConvNormAct(channels_in, inner, 1, act="relu6", eps=_EPS, momentum=momentum),
        ConvNormAct(inner, inner, 3, stride=2, groups=inner, act="relu6", eps=_EPS, momentum=momentum, same=True),
        ConvNormAct(inner, channels, 1, act="relu6", eps=_EPS, momentum=momentum),
    )
