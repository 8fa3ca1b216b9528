"""What teaches an SSD head: priors that overlap a box learn it, focal loss for all classes, smooth L1 for boxes.

SSD, https://arxiv.org/abs/1512.02325, with the losses and normalisers of the released MobileDets (TensorFlow object
detection API; focal loss, https://arxiv.org/abs/1708.02002, in place of SSD's hard negative mining, which can be had as
well). Axes: B pictures, A points, C classes, P positive points of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sanderling.objectives.assigners.max_iou import assign_max_iou
from sanderling.objectives.losses.focal import focal_negative, focal_with_few_positives
from sanderling.objectives.losses.hard_negatives import HardNegatives
from sanderling.objectives.own_head import expect_coding
from sanderling.ops.tensor.coding import SsdCoding
from sanderling.ops.tensor.divisors import shared_divisor
from sanderling.structures.batch import Targets
from sanderling.structures.predictions import Predictions

Weight = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class SsdObjectiveConfig:
    """Weights of the losses and reach of the assigner; the defaults are MobileDet's."""

    kind: Literal["ssd"] = "ssd"
    class_weight: Weight = 1.0
    box_weight: Weight = 1.0
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.75
    """Weight of a positive in the focal loss; a negative has 1 - alpha."""
    gamma: Weight = 2.0
    """How much less easy answers count."""
    match_iou: Annotated[float, Field(gt=0, le=1)] = 0.5
    """A prior that overlaps a box by at least this is positive; the best prior of a box always is."""
    hard_negatives: HardNegatives | None = None
    """Only the hardest negatives of each picture teach, as in SSD itself; null lets all of them."""

    def build(self) -> SsdObjective:
        """Make the objective."""
        return SsdObjective(self)


class SsdObjective:
    """Call it with predictions and targets; it keeps nothing between calls."""

    box_terms: ClassVar[tuple[str, ...]] = ("box",)
    """Losses that teach where a box is."""
    means_over_pictures: ClassVar[bool] = False

    def __init__(self, config: SsdObjectiveConfig) -> None:
        self.config = config

    def __call__(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        """Weighted scalar losses `class` and `box`; their sum is the loss of the batch.

        Class loss counts every point (or the positives and the hardest others), box loss the positives and the mean of
        its four numbers. Both are divided by the number of positives of the batch (at least 1, a `shared_divisor`); the
        weights of the targets multiply losses and not the divisor. Computed in float32, under autocast too.

        Raises:
            ModelError: the head codes boxes in another way.
        """
        with torch.autocast(predictions.class_logits.device.type, enabled=False):
            return self._losses(predictions, targets)

    def _losses(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        config = self.config
        expect_coding(predictions, SsdCoding, objective=config.kind)
        class_logits, box_logits = predictions.class_logits.float(), predictions.box_logits.float()
        with torch.no_grad():
            assigned = assign_max_iou(targets, predictions.priors_cxcywh, threshold=config.match_iou)
            priors, strides = predictions.priors_cxcywh[assigned.points], predictions.strides[assigned.points]
            wanted = predictions.coding.encode(targets.boxes_xyxy[assigned.boxes], priors, strides)
            positives = shared_divisor(class_logits.new_tensor(float(len(assigned.points))))

        share = targets.weights[assigned.boxes]
        numbers = box_logits[assigned.pictures, assigned.points]
        box_loss = F.smooth_l1_loss(numbers, wanted, reduction="none").mean(-1) * share

        logits = class_logits[assigned.pictures, assigned.points, targets.labels[assigned.boxes]]
        counted = None
        if config.hard_negatives is not None:
            positive = torch.zeros(class_logits.shape[:2], dtype=torch.bool, device=class_logits.device)
            positive[assigned.pictures, assigned.points] = True
            with torch.no_grad():
                losses = focal_negative(class_logits, alpha=config.alpha, gamma=config.gamma).sum(-1)
            hardest = config.hard_negatives.chosen(losses, ~positive, positive.sum(1))
            counted = (positive | hardest)[..., None]
        class_loss = focal_with_few_positives(
            class_logits, logits, share, alpha=config.alpha, gamma=config.gamma, counted=counted
        )
        return {
            "class": class_loss * (config.class_weight / positives),
            "box": box_loss.sum() * (config.box_weight / positives),
        }
