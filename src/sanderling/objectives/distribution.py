"""What teaches a distribution head: ATSS chooses the points, then quality focal, GIoU and distribution focal losses.

Generalized Focal Loss, https://arxiv.org/abs/2006.04388, with NanoDet's weights and normalisers. Axes: B pictures,
A points, C classes, P positive points of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Protocol

import torch
from pydantic import Field
from torch import Tensor

from sanderling.objectives.assigners.assignment import Assignment
from sanderling.objectives.assigners.atss import assign_atss
from sanderling.objectives.losses.distribution_focal import distribution_focal
from sanderling.objectives.losses.giou import giou_loss
from sanderling.objectives.losses.quality_focal import background_focal, quality_focal
from sanderling.objectives.own_head import expect_coding
from sanderling.ops.tensor.coding import DistributionCoding
from sanderling.ops.tensor.divisors import shared_divisor
from sanderling.structures.batch import Targets
from sanderling.structures.predictions import Predictions

Weight = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class DistributionObjectiveConfig:
    """Weights of the losses and reach of the assigner; the defaults are NanoDet's."""

    kind: Literal["distribution"] = "distribution"
    class_weight: Weight = 1.0
    box_weight: Weight = 2.0
    distribution_weight: Weight = 0.25
    candidates_per_level: Annotated[int, Field(gt=0)] = 9
    """Nearest points of each level that the assigner considers for a box."""

    def build(self) -> DistributionObjective:
        """Make the objective."""
        return DistributionObjective(self)


class DistributionObjective:
    """Call it with predictions and targets; it keeps nothing between calls."""

    box_terms: ClassVar[tuple[str, ...]] = ("box", "distribution")
    """Losses that teach where a box is."""
    means_over_pictures: ClassVar[bool] = False

    def __init__(self, config: DistributionObjectiveConfig) -> None:
        self.config = config

    def __call__(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        """Weighted scalar losses `class`, `box` and `distribution`; their sum is the loss of the batch.

        Class loss counts every point and is divided by the number of positives (of each picture at least 1). Box losses
        count positives, each as much as its detached best class score, and are divided by the sum of these (at least
        1); the weights of the targets multiply losses and not divisors. Both are `shared_divisor`s. Computed in
        float32, under autocast too.

        Raises:
            ModelError: the head codes boxes in another way.
        """
        with torch.autocast(predictions.class_logits.device.type, enabled=False):
            return self._losses(predictions, targets)

    def _losses(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        config = self.config
        expect_coding(predictions, DistributionCoding, objective=config.kind)
        with torch.no_grad():
            assigned = assign_atss(
                targets,
                predictions.priors_cxcywh,
                predictions.strides,
                candidates_per_level=config.candidates_per_level,
            )
            positives = shared_divisor(_count_positives(assigned, targets.pictures))
        return distribution_losses(predictions, targets, assigned, weights=config, positives=positives)


class LossWeights(Protocol):
    """Where the weights of the three losses stand."""

    @property
    def class_weight(self) -> float: ...  # noqa: D102

    @property
    def box_weight(self) -> float: ...  # noqa: D102

    @property
    def distribution_weight(self) -> float: ...  # noqa: D102


def distribution_losses(
    predictions: Predictions,
    targets: Targets,
    assigned: Assignment,
    *,
    weights: LossWeights,
    positives: Tensor,
    quality: Tensor | None = None,
) -> dict[str, Tensor]:
    """Weighted scalar losses `class`, `box` and `distribution` of a distribution head, once the points are chosen.

    Args:
        predictions: of the head.
        targets: of the batch.
        assigned: the P positive points.
        weights: of the losses.
        positives: divisor of the class loss.
        quality: (P), what the scores of the positives should say; None: the IoU of the head's own boxes.
    """
    class_logits, box_logits = predictions.class_logits.float(), predictions.box_logits.float()
    confidence = class_logits.detach()[assigned.pictures, assigned.points].amax(-1).sigmoid()
    confidences = shared_divisor(confidence.sum())

    share = targets.weights[assigned.boxes]
    wanted_xyxy = targets.boxes_xyxy[assigned.boxes]
    priors, strides = predictions.priors_cxcywh[assigned.points], predictions.strides[assigned.points]
    numbers = box_logits[assigned.pictures, assigned.points]
    box_loss, overlap = giou_loss(predictions.coding.decode(numbers, priors, strides), wanted_xyxy)
    distances = predictions.coding.encode(wanted_xyxy, priors, strides)
    side_loss = distribution_focal(numbers.unflatten(-1, (4, -1)), distances).mean(-1)

    logits = class_logits[assigned.pictures, assigned.points, targets.labels[assigned.boxes]]
    quality = overlap if quality is None else quality
    # Every logit is background at first; the few that are not are taken back and judged by their quality.
    at_positives = quality_focal(logits, quality) * share - background_focal(logits)
    class_loss = background_focal(class_logits).sum() + at_positives.sum()

    weight = confidence * share
    return {
        "class": class_loss * (weights.class_weight / positives),
        "box": (box_loss * weight).sum() * (weights.box_weight / confidences),
        "distribution": (side_loss * weight).sum() * (weights.distribution_weight / confidences),
    }


def _count_positives(assigned: Assignment, pictures: int) -> Tensor:
    """Positives of the batch, a picture without any counted as one."""
    return torch.bincount(assigned.pictures, minlength=pictures).clamp(min=1).sum().float()
