"""What teaches NanoDet-Plus: dynamic soft labels choose the points, then the losses of every distribution head.

https://github.com/RangiLyu/nanodet, v1.0. Where the network is guided while it learns, the guidance's predictions
choose the points for both, and what they overlap is the quality that the scores of both are taught.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from sanderling.objectives.assigners.dsla import assign_dsla
from sanderling.objectives.distribution import distribution_losses
from sanderling.objectives.own_head import expect_coding
from sanderling.ops.tensor.coding import DistributionCoding
from sanderling.ops.tensor.divisors import shared_divisor
from sanderling.structures.batch import Targets
from sanderling.structures.predictions import Predictions

Weight = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class DynamicDistributionObjectiveConfig:
    """Weights of the losses and terms of the assigner; the defaults are NanoDet-Plus's."""

    kind: Literal["dynamic_distribution"] = "dynamic_distribution"
    class_weight: Weight = 1.0
    box_weight: Weight = 2.0
    distribution_weight: Weight = 0.25
    best_overlaps: Annotated[int, Field(gt=0)] = 13
    """A box gets as many points as its so many highest IoUs sum to."""
    overlap_weight: Weight = 3.0
    """Of the IoU against the class in what a point costs a box."""

    def build(self) -> DynamicDistributionObjective:
        """Make the objective."""
        return DynamicDistributionObjective(self)


class DynamicDistributionObjective:
    """Call it with predictions and targets, and a guidance's predictions if there is one; it keeps nothing."""

    box_terms: ClassVar[tuple[str, ...]] = ("box", "distribution")
    """Losses that teach where a box is; those of a guidance, which does not ship, are left out."""
    means_over_pictures: ClassVar[bool] = False

    def __init__(self, config: DynamicDistributionObjectiveConfig) -> None:
        self.config = config

    def __call__(
        self, predictions: Predictions, targets: Targets, guidance: Predictions | None = None
    ) -> dict[str, Tensor]:
        """Weighted scalar losses `class`, `box` and `distribution`; those of a guidance with `guidance_` before them.

        The class loss is divided by the number of positives, box losses by the sum of the positives' confidences, both
        at least 1 and `shared_divisor`s. Computed in float32, under autocast too.

        Raises:
            ModelError: the head codes boxes in another way.
        """
        with torch.autocast(predictions.class_logits.device.type, enabled=False):
            return self._losses(predictions, targets, guidance)

    def _losses(self, predictions: Predictions, targets: Targets, guidance: Predictions | None) -> dict[str, Tensor]:
        expect_coding(predictions, DistributionCoding, objective=self.config.kind)
        judge = predictions if guidance is None else guidance
        with torch.no_grad():
            assigned, quality = assign_dsla(
                targets,
                judge.priors_cxcywh,
                judge.class_logits.float(),
                judge.coding.decode(judge.box_logits.float(), judge.priors_cxcywh, judge.strides),
                best_overlaps=self.config.best_overlaps,
                overlap_weight=self.config.overlap_weight,
            )
            count = torch.tensor(float(len(quality)), device=quality.device)
            positives = shared_divisor(count)

        def of(said: Predictions) -> dict[str, Tensor]:
            return distribution_losses(
                said, targets, assigned, weights=self.config, positives=positives, quality=quality
            )

        losses = of(predictions)
        if guidance is not None:
            losses |= {f"guidance_{name}": loss for name, loss in of(guidance).items()}
        return losses
