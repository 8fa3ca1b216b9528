"""SSDLite head: on every level one separable convolution for boxes and one for classes, for every anchor of a cell.

SSD, https://arxiv.org/abs/1512.02325, in the separable form of MobileNetV2, https://arxiv.org/abs/1801.04381, as
TensorFlow's object detection API builds it. Axes: B pictures, A points, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.heads.class_rows import ClassRows
from sanderling.models.layers.conv import ConvNormAct
from sanderling.ops.tensor.coding import SsdCoding
from sanderling.ops.tensor.ssd_anchors import ssd_anchors, ssd_priors
from sanderling.structures.predictions import Predictions

_EPS, _DEVIATION = 0.001, 0.03
_PRIOR_LOGIT = -4.6
"""Almost no anchor holds an object: the logit of 0.01, rounded as TensorFlow's configurations have it."""

Scale = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class SsdHeadConfig:
    """What may be chosen. Channels, strides and classes are given by the neighbours."""

    kind: Literal["ssd"] = "ssd"
    smallest: Scale = 0.2
    """Scale of the finest level's anchors, as a share of the shorter side of the input."""
    largest: Scale = 0.95
    """Scale of the coarsest level's anchors."""
    ratios: tuple[Annotated[float, Field(gt=0)], ...] = (1.0, 2.0, 0.5, 3.0, 0.3333)
    """Width over height of the anchors; a further square comes of itself, and the finest level has 1, 2 and 0.5."""
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.03
    """Of BatchNorm, the weight of the new statistics; short trainings need more."""

    def build(self, features: FeatureSpec, num_classes: int) -> SsdHead:
        """Make the head for a neck's features.

        Raises:
            ModelError: anchors would shrink from level to level.
        """
        if self.smallest > self.largest:
            raise ModelError(
                f"head.smallest = {self.smallest} with head.largest = {self.largest}: anchors grow from the finest "
                "level to the coarsest; choose a smallest that is no larger than the largest"
            )
        return SsdHead(features, num_classes, config=self)


class SsdHead(nn.Module):
    """Depthwise 3x3 and 1x1 per level, for boxes and for classes apart; nothing is shared between levels.

    A class output has a row for the background before those of the classes, as the published weights have it. With
    sigmoids it says nothing that the others do not, so it is neither taught nor handed on.
    """

    def __init__(self, features: FeatureSpec, num_classes: int, *, config: SsdHeadConfig) -> None:
        super().__init__()
        self.strides = features.strides
        self.coding = SsdCoding()
        self.anchors = ssd_anchors(
            len(features.strides), smallest=config.smallest, largest=config.largest, ratios=config.ratios
        )
        counts = [len(level) for level in self.anchors]
        self.boxes, self.classes = (
            nn.ModuleList(
                _predictor(width, count * rows, momentum=config.momentum)
                for width, count in zip(features.channels, counts, strict=True)
            )
            for rows in (4, num_classes + 1)
        )
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=_DEVIATION)
                if module.bias is not None:
                    nn.init.constant_(module.bias, _PRIOR_LOGIT if name.startswith("classes.") else 0.0)

    @property
    def class_rows(self) -> Mapping[str, ClassRows]:
        """The outputs that depend on the classes."""
        return {
            f"classes.{level}.1": ClassRows(groups=len(anchors), before=1) for level, anchors in enumerate(self.anchors)
        }

    def forward(self, maps: list[Tensor], size_hw: tuple[int, int]) -> Predictions:
        """Maps of the neck and the size of the network input to predictions for all anchors of all cells."""
        boxes = torch.cat([self._rows(self.boxes[level], level, x) for level, x in enumerate(maps)], 1)
        classes = torch.cat([self._rows(self.classes[level], level, x) for level, x in enumerate(maps)], 1)
        grids = [(x.shape[-2], x.shape[-1]) for x in maps]
        points = [rows * columns * len(level) for (rows, columns), level in zip(grids, self.anchors, strict=True)]
        return Predictions(
            class_logits=classes[..., 1:],
            box_logits=boxes,
            priors_cxcywh=ssd_priors(size_hw, grids, self.anchors, device=boxes.device),
            strides=torch.cat(
                [
                    torch.full((count,), float(stride), device=boxes.device)
                    for count, stride in zip(points, self.strides, strict=True)
                ]
            ),
            coding=self.coding,
            size_hw=size_hw,
        )

    def _rows(self, predictor: nn.Module, level: int, x: Tensor) -> Tensor:
        """(B, cells * anchors, rows of an anchor)."""
        # Decode and loss are in full precision whatever the network runs in.
        numbers = predictor(x).float().flatten(2).transpose(1, 2)
        return numbers.unflatten(2, (len(self.anchors[level]), -1)).flatten(1, 2)


def _predictor(channels: int, rows: int, *, momentum: float) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(channels, channels, 3, groups=channels, act="relu6", eps=_EPS, momentum=momentum),
        nn.Conv2d(channels, rows, 1),
    )
