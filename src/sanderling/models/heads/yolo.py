"""YOLO head: per level one 1x1 convolution that says box, objectness and classes for every anchor of a cell.

YOLOv3, https://arxiv.org/abs/1804.02767. Switches: grid sensitive and IoU-aware outputs (PP-YOLO), sizes by a
squared sigmoid and implicit knowledge (YOLOR, https://arxiv.org/abs/2105.04206). Axes: B pictures, A points, C classes.
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
from sanderling.models.heads.prior import ROUNDED_PRIOR_LOGIT
from sanderling.ops.tensor.coding import YoloCoding
from sanderling.ops.tensor.points import anchor_priors
from sanderling.structures.predictions import Predictions

Side = Annotated[float, Field(gt=0)]
Reach = Annotated[float, Field(ge=1)]
Anchor = tuple[Side, Side]

COCO_ANCHORS: tuple[tuple[Anchor, ...], ...] = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
"""YOLOv3's, for strides 8, 16 and 32: widths and heights in pixels of the network input."""


@dataclass(frozen=True, kw_only=True, slots=True)
class YoloHeadConfig:
    """What may be chosen. Channels, strides and classes are given by the neighbours."""

    kind: Literal["yolo"] = "yolo"
    anchors: tuple[tuple[Anchor, ...], ...] = COCO_ANCHORS
    """Per level of the neck, finest first, widths and heights in pixels of the network input."""
    scale_xy: Reach | tuple[Reach, ...] = 1.0
    """Reach of the centre's sigmoid in cells, one for all levels or one for each; above 1 is "grid sensitive"."""
    size: Literal["exp", "sigmoid_squared"] = "exp"
    iou_aware: bool = False
    """Predict the IoU of each box as well."""
    iou_power: Annotated[float, Field(ge=0, le=1)] = 0.4
    """Weight of the predicted IoU in the score."""
    bias: bool = True
    implicit: bool = False
    """Add a learned vector before the convolution and multiply by one after it (YOLOR)."""

    def build(self, features: FeatureSpec, num_classes: int) -> YoloHead:
        """Make the head for a neck's features.

        Raises:
            ModelError: the neck has another number of levels than there are anchors, or values of `scale_xy`, for; or a
                level has no anchor.
        """
        if len(self.anchors) != len(features.strides):
            raise ModelError(
                f"head.anchors: {len(self.anchors)} levels of anchors for a neck with {len(features.strides)} levels "
                f"(strides {', '.join(map(str, features.strides))}); give anchors for each level, finest first"
            )
        if empty := [stride for stride, level in zip(features.strides, self.anchors, strict=True) if not level]:
            raise ModelError(
                f"head.anchors: none for stride {', '.join(map(str, empty))}; give at least one for each level, or "
                "choose a neck without that level"
            )
        if isinstance(self.scale_xy, tuple) and len(self.scale_xy) != len(features.strides):
            raise ModelError(
                f"head.scale_xy: {len(self.scale_xy)} values for a neck with {len(features.strides)} levels; give one "
                "for each level, finest first, or one number for all"
            )
        return YoloHead(features, num_classes, config=self)


class YoloHead(nn.Module):
    """Per level the rows [IoU of each anchor], then per anchor x, y, w, h, objectness, C classes."""

    def __init__(self, features: FeatureSpec, num_classes: int, *, config: YoloHeadConfig) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.strides = features.strides
        self.anchors = config.anchors
        scales = config.scale_xy
        self.coding = YoloCoding(
            tuple(zip(features.strides, scales, strict=True)) if isinstance(scales, tuple) else scales, config.size
        )
        self.iou_aware, self.iou_power = config.iou_aware, config.iou_power
        outputs = [len(level) * (num_classes + 5 + config.iou_aware) for level in config.anchors]
        convs = [
            nn.Conv2d(width, rows, 1, bias=config.bias) for width, rows in zip(features.channels, outputs, strict=True)
        ]
        self.outputs = nn.ModuleList(convs)
        for conv, level in zip(convs, config.anchors, strict=True):
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
                with torch.no_grad():
                    conv.bias[len(level) * config.iou_aware :].view(len(level), -1)[:, 4] = ROUNDED_PRIOR_LOGIT
        self.implicit = config.implicit
        if config.implicit:
            self.implicit_add = nn.ParameterList(nn.Parameter(torch.randn(width) * 0.02) for width in features.channels)
            self.implicit_multiply = nn.ParameterList(nn.Parameter(1 + torch.randn(rows) * 0.02) for rows in outputs)

    @property
    def class_rows(self) -> Mapping[str, ClassRows]:
        """The outputs that depend on the classes."""
        names = ["outputs", *(["implicit_multiply"] if self.implicit else [])]
        return {
            f"{name}.{level}": ClassRows(start=len(anchors) if self.iou_aware else 0, groups=len(anchors), before=5)
            for name in names
            for level, anchors in enumerate(self.anchors)
        }

    def forward(self, maps: list[Tensor], size_hw: tuple[int, int]) -> Predictions:
        """Maps of the neck and the size of the network input to predictions for all anchors of all cells."""
        boxes, ious = [], []
        for level, x in enumerate(maps):
            # Decode and loss are in full precision whatever the network runs in.
            numbers = self._level(level, x).float().flatten(2).transpose(1, 2)
            count = len(self.anchors[level])
            if self.iou_aware:
                iou, numbers = numbers.split([count, numbers.shape[2] - count], 2)
                ious.append(iou.flatten(1))
            boxes.append(numbers.unflatten(2, (count, -1)).flatten(1, 2))
        joined = torch.cat(boxes, 1)
        priors, strides = anchor_priors(size_hw, self.strides, self.anchors, device=joined.device)
        return Predictions(
            class_logits=joined[..., 5:],
            box_logits=joined[..., :4],
            objectness_logits=joined[..., 4],
            iou_logits=torch.cat(ious, 1) if self.iou_aware else None,
            iou_power=self.iou_power,
            priors_cxcywh=priors,
            strides=strides,
            coding=self.coding,
            size_hw=size_hw,
        )

    def _level(self, level: int, x: Tensor) -> Tensor:
        if not self.implicit:
            return self.outputs[level](x)
        x = self.outputs[level](x + self.implicit_add[level].view(1, -1, 1, 1))
        return x * self.implicit_multiply[level].view(1, -1, 1, 1)
