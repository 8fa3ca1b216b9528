"""Darknet-53 and its cross stage partial form: feature maps of strides 8, 16 and 32.

YOLOv3, https://arxiv.org/abs/1804.02767; CSPNet, https://arxiv.org/abs/1911.11929; partial residuals and the place of
the transitions as compared in https://arxiv.org/abs/2211.04800. Plain residual stages stand in darknet's order, so that
the weights of its Darknet-53 fit one after another; cross stage partial ones have an order of their own.
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
from sanderling.models.layers.csp import CspForm, CspStage
from sanderling.models.layers.darknet_block import DarknetBlock

Count = Annotated[int, Field(gt=0)]
Even = Annotated[int, Field(gt=0, multiple_of=2)]


@dataclass(frozen=True, kw_only=True, slots=True)
class CspDarknetConfig:
    """Channels of the stem and, with blocks, of the five stages, each of which begins by halving the resolution."""

    kind: Literal["csp_darknet"] = "csp_darknet"
    stem: Count = 32
    channels: tuple[Even, Even, Even, Even, Even] = (64, 128, 256, 512, 1024)
    repeats: tuple[Count, Count, Count, Count, Count] = (1, 2, 8, 8, 4)
    stages: Literal["residual"] | CspForm = "csp"
    """Of the second to the last stage: plain residual blocks, or a cross stage partial form."""
    first_stage: Literal["residual", "csp"] = "residual"
    """`csp` gives both paths of the first stage its full width (CSPDarknet53 of the CSPNet paper)."""
    residual_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the channels that a block adds its input to; a half in PRN."""
    act: Activation = "silu"
    eps: Annotated[float, Field(gt=0)] = YOLO_EPS
    """Of BatchNorm."""

    def build(self) -> CspDarknet:
        """Make the backbone with freshly drawn weights."""
        return CspDarknet(self)


class CspDarknet(nn.Module):
    """Stem of stride 1 and five stages."""

    def __init__(self, config: CspDarknetConfig) -> None:
        super().__init__()
        self.features = FeatureSpec(config.channels[2:], (8, 16, 32))
        self.stem = ConvNormAct(3, config.stem, 3, act=config.act)
        before = (config.stem, *config.channels)
        self.stage1, self.stage2, self.stage3, self.stage4, self.stage5 = (
            _stage(config, index, channels_in=before[index], channels=before[index + 1]) for index in range(5)
        )
        set_batchnorm(self, eps=config.eps, momentum=YOLO_MOMENTUM)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to maps of strides 8, 16 and 32."""
        fine = self.stage3(self.stage2(self.stage1(self.stem(x))))
        middle = self.stage4(fine)
        return [fine, middle, self.stage5(middle)]


def _stage(config: CspDarknetConfig, index: int, *, channels_in: int, channels: int) -> nn.Sequential:
    down = ConvNormAct(channels_in, channels, 3, stride=2, act=config.act)
    form = config.stages if index else config.first_stage
    repeats, share, act = config.repeats[index], config.residual_share, config.act
    if form == "residual":
        blocks = (DarknetBlock(channels, channels, hidden=channels // 2, share=share, act=act) for _ in range(repeats))
        return nn.Sequential(down, *blocks)
    width = channels // 2 if index else channels
    stage = CspStage(
        channels, channels, width=width, hidden=channels // 2, repeats=repeats, form=form, share=share, act=act
    )
    return nn.Sequential(down, stage)
