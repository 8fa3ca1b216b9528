"""Distribution head: class logits and box distances per point, separate weights on every level.

Generalized Focal Loss, https://arxiv.org/abs/2006.04388, in NanoDet's light form: classes and boxes share one tower and
one output convolution. Axes: B pictures, A points, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.models.features import FeatureSpec
from sanderling.models.heads.class_rows import ClassRows
from sanderling.models.heads.prior import PRIOR_LOGIT
from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.separable import SeparableConv
from sanderling.ops.tensor.coding import DistributionCoding
from sanderling.ops.tensor.points import grid_priors
from sanderling.structures.predictions import Predictions


@dataclass(frozen=True, kw_only=True, slots=True)
class DistributionHeadConfig:
    """What may be chosen. Channels, strides and classes are given by the neighbours."""

    kind: Literal["distribution"] = "distribution"
    depth: Annotated[int, Field(ge=0)] = 2
    """Convolutions per level before the output."""
    tower: Literal["separable", "plain"] = "separable"
    """Depthwise-separable convolutions, or plain ones for devices that have more arithmetic than bandwidth."""
    kernel: Literal[3, 5] = 3
    bins: Annotated[int, Field(ge=2)] = 8
    """Values per side, 0..bins-1 cells (the paper's reg_max + 1)."""
    prior_scale: Annotated[float, Field(gt=0)] = 5.0
    """Side of the square prior that the assigner compares with, in cells."""
    prior_offset: float = 0.5
    """Place of a point inside its cell."""
    act: Activation = "leaky_relu"
    unused_box_outputs: bool = False
    """Carry the box-only output convolutions that NanoDet's published checkpoints hold and nothing uses."""

    def build(self, features: FeatureSpec, num_classes: int) -> DistributionHead:
        """Make the head for a neck's features."""
        return DistributionHead(features, num_classes, config=self)


class DistributionHead(nn.Module):
    """Per level a tower and a 1x1 with C + 4 * bins outputs, classes first."""

    def __init__(self, features: FeatureSpec, num_classes: int, *, config: DistributionHeadConfig) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.strides = features.strides
        self.prior_scale, self.prior_offset = config.prior_scale, config.prior_offset
        self.coding = DistributionCoding(config.bins)
        self.cls_convs = nn.ModuleList(
            nn.Sequential(*(_tower_step(width, config) for _ in range(config.depth))) for width in features.channels
        )
        outputs = num_classes + 4 * config.bins
        self.gfl_cls = nn.ModuleList(nn.Conv2d(width, outputs, 1) for width in features.channels)
        if config.unused_box_outputs:
            self.gfl_reg = nn.ModuleList(nn.Conv2d(width, 4 * config.bins, 1) for width in features.channels)
            # Distributed training would wait for gradients that never come.
            self.gfl_reg.requires_grad_(False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.01)
                if module.bias is not None:
                    nn.init.constant_(module.bias, PRIOR_LOGIT)

    @property
    def class_rows(self) -> Mapping[str, ClassRows]:
        """The outputs that depend on the classes."""
        return {f"gfl_cls.{level}": ClassRows(after=4 * self.coding.bins) for level in range(len(self.gfl_cls))}

    def forward(self, maps: list[Tensor], size_hw: tuple[int, int]) -> Predictions:
        """Maps of the neck and the size of the network input to predictions for all points."""
        flat = [
            output(tower(x)).flatten(2).transpose(1, 2)
            for tower, output, x in zip(self.cls_convs, self.gfl_cls, maps, strict=True)
        ]
        # Decode and loss are in full precision whatever the network runs in.
        numbers = torch.cat(flat, 1).float()
        class_logits, box_logits = numbers.split([self.num_classes, 4 * self.coding.bins], 2)
        priors, strides = grid_priors(
            size_hw, self.strides, scale=self.prior_scale, offset=self.prior_offset, device=numbers.device
        )
        return Predictions(
            class_logits=class_logits,
            box_logits=box_logits,
            priors_cxcywh=priors,
            strides=strides,
            coding=self.coding,
            size_hw=size_hw,
        )


def _tower_step(width: int, config: DistributionHeadConfig) -> nn.Module:
    if config.tower == "plain":
        return ConvNormAct(width, width, config.kernel, act=config.act)
    return SeparableConv(width, width, kernel=config.kernel, stride=1, act=config.act)
