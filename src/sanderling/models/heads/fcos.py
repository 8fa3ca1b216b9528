"""FCOS head: class, distances to the four sides and centreness per point, by two towers of convolutions.

FCOS, https://arxiv.org/abs/1904.01355, with its later choices: distances in cells, centreness from the boxes' tower.
Axes: B pictures, A points, C classes.
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
from sanderling.ops.tensor.coding import DistanceCoding
from sanderling.ops.tensor.points import grid_priors
from sanderling.structures.predictions import Predictions

_DEVIATION = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class FcosHeadConfig:
    """What may be chosen. Channels, strides and classes are given by the neighbours."""

    kind: Literal["fcos"] = "fcos"
    depth: Annotated[int, Field(ge=0)] = 4
    """Convolutions of each tower before the output."""
    shared: bool = True
    """One head for all levels, as published; else one for each."""
    groups: Annotated[int, Field(gt=0)] = 32
    """Of GroupNorm in the towers."""

    def build(self, features: FeatureSpec, num_classes: int) -> FcosHead:
        """Make the head for a neck's features.

        Raises:
            ModelError: levels of different widths cannot share a head, or a width is no multiple of the groups.
        """
        if self.shared and len(set(features.channels)) > 1:
            raise ModelError(
                f"head.shared = true: the neck's levels have {', '.join(map(str, features.channels))} channels and one "
                "head needs one width; use a neck with one width, or head.shared = false"
            )
        for width in features.channels if self.depth else ():
            if width % self.groups:
                raise ModelError(
                    f"head.groups = {self.groups}: no divisor of the neck's {width} channels; choose another number"
                )
        return FcosHead(features, num_classes, config=self)


class FcosHead(nn.Module):
    """One or several towers; each level has a factor of its own on its distances."""

    def __init__(self, features: FeatureSpec, num_classes: int, *, config: FcosHeadConfig) -> None:
        super().__init__()
        self.strides = features.strides
        self.coding = DistanceCoding()
        widths = features.channels[:1] if config.shared else features.channels
        self.levels = nn.ModuleList(
            _Towers(width, num_classes, depth=config.depth, groups=config.groups) for width in widths
        )
        self.scales = nn.Parameter(torch.ones(len(features.strides)))

    @property
    def class_rows(self) -> Mapping[str, ClassRows]:
        """The outputs that depend on the classes."""
        return {f"levels.{level}.classes": ClassRows() for level in range(len(self.levels))}

    def forward(self, maps: list[Tensor], size_hw: tuple[int, int]) -> Predictions:
        """Maps of the neck and the size of the network input to predictions for all points."""
        classes, sides, central = [], [], []
        for level, x in enumerate(maps):
            # Decode and loss are in full precision whatever the network runs in.
            numbers = [part.float().flatten(2).transpose(1, 2) for part in self.levels[level % len(self.levels)](x)]
            classes.append(numbers[0])
            sides.append(numbers[1] * self.scales[level])
            central.append(numbers[2])
        class_logits = torch.cat(classes, 1)
        priors, strides = grid_priors(size_hw, self.strides, scale=1.0, device=class_logits.device)
        return Predictions(
            class_logits=class_logits,
            box_logits=torch.cat(sides, 1),
            objectness_logits=torch.cat(central, 1)[..., 0],
            priors_cxcywh=priors,
            strides=strides,
            coding=self.coding,
            size_hw=size_hw,
        )


class _Towers(nn.Module):
    """A tower for classes, a tower for boxes and centreness, and their outputs."""

    def __init__(self, width: int, num_classes: int, *, depth: int, groups: int) -> None:
        super().__init__()
        self.class_tower, self.box_tower = (_tower(width, depth=depth, groups=groups) for _ in range(2))
        self.classes, self.boxes, self.centreness = (nn.Conv2d(width, rows, 3, 1, 1) for rows in (num_classes, 4, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=_DEVIATION)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        assert self.classes.bias is not None
        nn.init.constant_(self.classes.bias, ROUNDED_PRIOR_LOGIT)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Class logits, distances and centreness, each (B, rows, H, W)."""
        boxes = self.box_tower(x)
        return self.classes(self.class_tower(x)), self.boxes(boxes), self.centreness(boxes)


def _tower(width: int, *, depth: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        *(
            nn.Sequential(
                nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.GroupNorm(groups, width), nn.ReLU(inplace=True)
            )
            for _ in range(depth)
        )
    )
