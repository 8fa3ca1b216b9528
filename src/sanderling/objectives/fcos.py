"""What teaches an FCOS head: points near the middle of a box learn its class, its sides and how central they are.

FCOS, https://arxiv.org/abs/1904.01355. Axes: B pictures, A points, C classes, P positive points of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sanderling.errors import ModelError
from sanderling.objectives.assigners.centre_sampling import assign_centre_sampling
from sanderling.objectives.losses.focal import focal_with_few_positives
from sanderling.objectives.losses.giou import giou_loss
from sanderling.objectives.own_head import expect_coding
from sanderling.ops.tensor.coding import DistanceCoding
from sanderling.ops.tensor.divisors import shared_divisor
from sanderling.structures.batch import Targets
from sanderling.structures.predictions import Predictions

Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class FcosObjectiveConfig:
    """Weights of the losses and reach of the assigner; the defaults are the paper's."""

    kind: Literal["fcos"] = "fcos"
    class_weight: Weight = 1.0
    box_weight: Weight = 1.0
    centreness_weight: Weight = 1.0
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Weight of a positive in the focal loss; a negative has 1 - alpha."""
    gamma: Weight = 2.0
    """How much less easy answers count."""
    radius: Positive = 1.5
    """Points within so many cells of a box's middle learn it."""
    reach: Positive = 8.0
    """A level learns boxes whose farthest side is at most so many cells away."""

    def build(self) -> FcosObjective:
        """Make the objective."""
        return FcosObjective(self)


class FcosObjective:
    """Call it with predictions and targets; it keeps nothing between calls."""

    box_terms: ClassVar[tuple[str, ...]] = ("box",)
    """Losses that teach where a box is."""
    means_over_pictures: ClassVar[bool] = False

    def __init__(self, config: FcosObjectiveConfig) -> None:
        self.config = config

    def __call__(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        """Weighted scalar losses `class`, `box` and `centreness`; their sum is the loss of the batch.

        Class loss counts every point, the others the positives. Class and centreness are divided by the number of
        positives (at least 1). The GIoU loss of a box counts as much as its point is central and is divided by the sum
        of these. Both are `shared_divisor`s; the weights of the targets multiply losses and not divisors. Computed in
        float32, under autocast too.

        Raises:
            ModelError: the head codes boxes in another way, or says no centreness.
        """
        with torch.autocast(predictions.class_logits.device.type, enabled=False):
            return self._losses(predictions, targets)

    def _losses(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        config = self.config
        expect_coding(predictions, DistanceCoding, objective=config.kind)
        if predictions.objectness_logits is None:
            raise ModelError("task.objective.kind: fcos teaches a centreness, the head has none; use an fcos head")
        class_logits, box_logits = predictions.class_logits.float(), predictions.box_logits.float()
        with torch.no_grad():
            assigned = assign_centre_sampling(
                targets, predictions.priors_cxcywh, predictions.strides, radius=config.radius, reach=config.reach
            )
            priors, strides = predictions.priors_cxcywh[assigned.points], predictions.strides[assigned.points]
            wanted_xyxy = targets.boxes_xyxy[assigned.boxes]
            centreness = _centreness(wanted_xyxy, priors[:, :2])
            positives = shared_divisor(class_logits.new_tensor(float(len(assigned.points))))
            central = shared_divisor(centreness.sum(), least=1e-6)

        share = targets.weights[assigned.boxes]
        numbers = box_logits[assigned.pictures, assigned.points]
        box_loss, _ = giou_loss(predictions.coding.decode(numbers, priors, strides), wanted_xyxy)
        central_logits = predictions.objectness_logits.float()[assigned.pictures, assigned.points]
        central_loss = F.binary_cross_entropy_with_logits(central_logits, centreness, reduction="none")

        logits = class_logits[assigned.pictures, assigned.points, targets.labels[assigned.boxes]]
        class_loss = focal_with_few_positives(class_logits, logits, share, alpha=config.alpha, gamma=config.gamma)
        return {
            "class": class_loss * (config.class_weight / positives),
            "box": (box_loss * centreness * share).sum() * (config.box_weight / central),
            "centreness": (central_loss * share).sum() * (config.centreness_weight / positives),
        }


def _centreness(boxes_xyxy: Tensor, points_xy: Tensor) -> Tensor:
    """1 in the middle of a box, 0 on its sides: the geometric mean of near over far side, across and down. (P)."""
    before, after = points_xy - boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - points_xy
    return (torch.minimum(before, after) / torch.maximum(before, after)).prod(-1).sqrt()
