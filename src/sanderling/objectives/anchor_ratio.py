"""What teaches YOLOR and YOLOv7: anchors by their shape, complete IoU for boxes, which is also what objectness learns.

YOLOR, https://arxiv.org/abs/2105.04206, and YOLOv7, https://arxiv.org/abs/2207.02696, with the weights of their
published settings. Axes: B pictures, A points, C classes, L levels, P positive points of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sanderling.errors import ModelError
from sanderling.objectives.assigners.anchor_ratio import assign_anchor_ratio
from sanderling.objectives.losses.iou_family import iou_family_loss
from sanderling.ops.tensor.divisors import shared_divisor
from sanderling.structures.batch import Targets
from sanderling.structures.predictions import Predictions

Weight = Annotated[float, Field(ge=0)]

_NOMINAL_BATCH = 64
"""The authors multiply the loss by the pictures of a batch and gather batches up to so many pictures per step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnchorRatioObjectiveConfig:
    """Weights of the losses and reach of the assigner; the defaults are YOLOR's."""

    kind: Literal["anchor_ratio"] = "anchor_ratio"
    box_weight: Weight = 0.05
    objectness_weight: Weight = 0.7
    class_weight: Weight = 0.3
    level_weights: tuple[Weight, ...] = (4.0, 1.0, 0.4, 0.1)
    """Of objectness, finest level first; a network with fewer levels uses the first ones."""
    largest_ratio: Annotated[float, Field(gt=1)] = 4.0
    """Anchors whose width or height differs from a box's by as much do not match it."""
    adapted: bool = False
    """Objectness weighs as the area of the input against 640x640, classes as their number against 80 (YOLOv7)."""

    def build(self) -> AnchorRatioObjective:
        """Make the objective."""
        return AnchorRatioObjective(self)


class AnchorRatioObjective:
    """Call it with predictions and targets; it keeps nothing between calls."""

    box_terms: ClassVar[tuple[str, ...]] = ("box",)
    """Losses that teach where a box is."""
    means_over_pictures: ClassVar[bool] = False

    def __init__(self, config: AnchorRatioObjectiveConfig) -> None:
        self.config = config

    def __call__(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        """Weighted scalar losses `class`, `box` and `objectness`; their sum is the loss of the batch.

        Box and class losses are means over the positives of a level, objectness is one over all its points; levels are
        summed, times three over their number. Objectness is taught the complete IoU (at least 0) of the box at each
        positive, the best one where several boxes want a point, and 0 elsewhere. The weights of the targets multiply
        the losses of their positives. A single class is taught as well, because decoding reads it. Numbers of positives
        and of pictures are `shared_divisor`s. Computed in float32, under autocast too.

        Raises:
            ModelError: the network has no objectness, or more levels than there are level weights.
        """
        with torch.autocast(predictions.class_logits.device.type, enabled=False):
            return self._losses(predictions, targets)

    def _losses(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        config = self.config
        objectness, class_logits = predictions.objectness_logits, predictions.class_logits.float()
        if objectness is None:
            raise ModelError("task.objective: anchor_ratio teaches objectness, the head has none; use a yolo head")
        strides = predictions.strides
        level_of, sizes = torch.unique_consecutive(strides, return_inverse=True, return_counts=True)[1:]
        level_weights = self._level_weights(len(sizes), like=strides)
        with torch.no_grad():
            assigned = assign_anchor_ratio(
                targets,
                predictions.priors_cxcywh,
                strides,
                size_hw=predictions.size_hw,
                largest_ratio=config.largest_ratio,
            )
            level = level_of[assigned.points]
            positives = shared_divisor(torch.bincount(level, minlength=len(sizes)).float())
            pictures = shared_divisor(strides.new_tensor(float(targets.pictures)))

        share = targets.weights[assigned.boxes] / positives[level]
        numbers = predictions.box_logits.float()[assigned.pictures, assigned.points]
        decoded = predictions.coding.decode(
            numbers, predictions.priors_cxcywh[assigned.points], strides[assigned.points]
        )
        box_loss, _ = iou_family_loss(decoded, targets.boxes_xyxy[assigned.boxes], "ciou")
        logits = class_logits[assigned.pictures, assigned.points]
        wanted = F.one_hot(targets.labels[assigned.boxes], logits.shape[-1]).to(logits)
        class_loss = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(-1)

        point = assigned.pictures * len(strides) + assigned.points
        quality = (1 - box_loss.detach()).clamp(min=0)
        best = torch.zeros(objectness.numel(), device=quality.device).scatter_reduce(0, point, quality, "amax")
        each = F.binary_cross_entropy_with_logits(objectness.float().flatten(), best, reduction="none")
        of_points = level_weights / sizes
        objectness_loss = (each.view_as(objectness) * of_points[level_of]).sum() / pictures

        scale = _NOMINAL_BATCH * 3 / len(sizes)
        objectness_scale = class_scale = scale
        if config.adapted:
            objectness_scale *= predictions.size_hw[0] * predictions.size_hw[1] / 640**2
            class_scale *= class_logits.shape[-1] / 80
        return {
            "class": (class_loss * share).sum() * (config.class_weight * class_scale),
            "box": (box_loss * share).sum() * (config.box_weight * scale),
            "objectness": objectness_loss * (config.objectness_weight * objectness_scale),
        }

    def _level_weights(self, levels: int, *, like: Tensor) -> Tensor:
        given = self.config.level_weights
        if levels > len(given):
            raise ModelError(
                f"task.objective.level_weights: {len(given)} weights for a network with {levels} levels; give one for "
                "each level, finest first"
            )
        return torch.tensor(given[:levels], device=like.device)


YOLOR = AnchorRatioObjectiveConfig()
YOLOV7_TINY = AnchorRatioObjectiveConfig(objectness_weight=1.0, class_weight=0.5, adapted=True)
