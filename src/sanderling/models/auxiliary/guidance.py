"""NanoDet-Plus's guidance: a copy of the neck and a heavy head whose predictions say which points learn which box.

https://github.com/RangiLyu/nanodet, v1.0 ("assign guidance module"), after https://arxiv.org/abs/2108.10520. The light
head of the network is too weak at first to judge its own points; this one learns the same objects beside it and judges
for both. Axes: B pictures, A points, C classes.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.heads.prior import PRIOR_LOGIT
from sanderling.models.layers.activations import Activation, activation
from sanderling.structures.predictions import Predictions


@dataclass(frozen=True, kw_only=True, slots=True)
class GuidanceConfig:
    """What may be chosen; the neck that is copied, the levels and the classes come from the network."""

    kind: Literal["guidance"] = "guidance"
    depth: Annotated[int, Field(gt=0)] = 4
    """3x3 convolutions before the output, for classes and for boxes each."""
    groups: Annotated[int, Field(gt=0)] = 32
    """Of GroupNorm; they divide twice the neck's channels."""
    detach_epoch: Annotated[int, Field(ge=0)] = 10
    """From this epoch (counted from 0) on, backbone and neck no longer learn from the guidance's own losses."""
    act: Activation = "leaky_relu"

    def build(self, neck: nn.Module, features: FeatureSpec, *, num_classes: int, box_numbers: int) -> Guidance:
        """Make the guidance for a network.

        Args:
            neck: the network's, which is copied with its weights.
            features: of the neck.
            num_classes: of the network's head.
            box_numbers: numbers per point with which the network's head says a box.

        Raises:
            ModelError: levels of different widths, or a width that the groups do not divide.
        """
        width = 2 * features.channels[0]
        if len(set(features.channels)) > 1 or width % self.groups:
            raise ModelError(
                f"auxiliary.groups = {self.groups} for a neck with {', '.join(map(str, features.channels))} channels: "
                "the levels must be of one width, and the groups must divide twice that width"
            )
        head = GuidanceHead(
            width,
            levels=len(features.strides),
            num_classes=num_classes,
            box_numbers=box_numbers,
            depth=self.depth,
            groups=self.groups,
            act=self.act,
        )
        return Guidance(copy.deepcopy(neck), head, detach_epoch=self.detach_epoch)


class Guidance(nn.Module):
    """The copied neck on the backbone's maps, and the head on the maps of both necks."""

    def __init__(self, neck: nn.Module, head: GuidanceHead, *, detach_epoch: int) -> None:
        super().__init__()
        self.aux_fpn = neck
        self.aux_head = head
        self.detach_epoch = detach_epoch

    def forward(
        self, backbone_maps: list[Tensor], neck_maps: list[Tensor], predictions: Predictions, *, epoch: int
    ) -> Predictions:
        """What the guidance says about the points that the network's own predictions are about.

        Args:
            backbone_maps: of the network.
            neck_maps: of the network.
            predictions: of the network; only their geometry is taken.
            epoch: of the training, from 0.
        """
        if epoch >= self.detach_epoch:
            backbone_maps = [x.detach() for x in backbone_maps]
            neck_maps = [x.detach() for x in neck_maps]
        pairs = [
            torch.cat((ours, copied), 1) for ours, copied in zip(neck_maps, self.aux_fpn(backbone_maps), strict=True)
        ]
        class_logits, box_logits = self.aux_head(pairs)
        return dataclasses.replace(predictions, class_logits=class_logits, box_logits=box_logits)


class GuidanceHead(nn.Module):
    """Two towers of plain 3x3 convolutions, for classes and for boxes; all levels share them, but for a scale each."""

    def __init__(
        self,
        channels: int,
        *,
        levels: int,
        num_classes: int,
        box_numbers: int,
        depth: int,
        groups: int,
        act: Activation,
    ) -> None:
        super().__init__()
        self.cls_convs, self.reg_convs = (
            nn.Sequential(*(_GroupConv(channels, groups=groups, act=act) for _ in range(depth))) for _ in range(2)
        )
        self.gfl_cls = nn.Conv2d(channels, num_classes, 3, padding=1)
        self.gfl_reg = nn.Conv2d(channels, box_numbers, 3, padding=1)
        self.scales = nn.ModuleList(_Scale() for _ in range(levels))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.01)
        nn.init.constant_(self.gfl_cls.bias, PRIOR_LOGIT)  # type: ignore[arg-type]
        nn.init.zeros_(self.gfl_reg.bias)  # type: ignore[arg-type]

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Maps of all levels to class logits (B, A, C) and numbers per box (B, A, K)."""
        classes, boxes = [], []
        for scale, x in zip(self.scales, maps, strict=True):
            classes.append(self.gfl_cls(self.cls_convs(x)).float().flatten(2))
            boxes.append(scale(self.gfl_reg(self.reg_convs(x))).float().flatten(2))
        return torch.cat(classes, 2).transpose(1, 2), torch.cat(boxes, 2).transpose(1, 2)


class _GroupConv(nn.Module):
    """3x3 without bias, GroupNorm, activation."""

    def __init__(self, channels: int, *, groups: int, act: Activation) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.gn = nn.GroupNorm(groups, channels)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.gn(self.conv(x)))


class _Scale(nn.Module):
    """One learned factor."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale
