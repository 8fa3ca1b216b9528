"""The detection task: a network and the objective of its head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from sanderling.errors import UsageError
from sanderling.models.auxiliary.guidance import Guidance
from sanderling.models.heads.distribution import DistributionHead
from sanderling.models.network import DetectorNetwork
from sanderling.models.weights.folded_batchnorm import folded_norms
from sanderling.objectives.anchor_ratio import AnchorRatioObjectiveConfig
from sanderling.objectives.distribution import DistributionObjectiveConfig
from sanderling.objectives.dynamic_distribution import DynamicDistributionObjective, DynamicDistributionObjectiveConfig
from sanderling.objectives.fcos import FcosObjectiveConfig
from sanderling.objectives.ssd import SsdObjectiveConfig
from sanderling.objectives.yolo import YoloObjectiveConfig
from sanderling.structures.batch import Batch
from sanderling.training.freeze import freeze, frozen_modules
from sanderling.training.task import Task

ObjectiveConfig = Annotated[
    AnchorRatioObjectiveConfig
    | DistributionObjectiveConfig
    | DynamicDistributionObjectiveConfig
    | FcosObjectiveConfig
    | SsdObjectiveConfig
    | YoloObjectiveConfig,
    Field(discriminator="kind"),
]
"""The union of all objectives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectionTaskConfig:
    """How a detector is taught."""

    kind: Literal["detection"] = "detection"
    objective: ObjectiveConfig = field(default_factory=DistributionObjectiveConfig)
    freeze: str | int | None = None
    """`backbone`, or how many of its parts from the input on do not learn."""
    folded_batchnorm: Literal["freeze", "recalibrate"] = "freeze"
    """BatchNorm that the weights came with folded in: keep it the identity, or measure statistics for it first."""

    def build(self, network: DetectorNetwork) -> DetectionTask:
        """Pair a network with its objective.

        Raises:
            UsageError: `freeze` names no part of this network, or its auxiliary module finds no use.
        """
        return DetectionTask(network, self)


class DetectionTask(Task):
    """Pictures and boxes to named losses."""

    def __init__(self, network: DetectorNetwork, config: DetectionTaskConfig) -> None:
        super().__init__(network)
        self.objective = config.objective.build()
        self.means_over_pictures = self.objective.means_over_pictures
        self.guidance = _guidance_for(network, self.objective)
        self._epoch = 0
        self._frozen = frozen_modules(network, config.freeze)
        freeze(self._frozen)

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        """Weighted scalar losses by name."""
        if self.guidance is None or not isinstance(self.objective, DynamicDistributionObjective):
            return self.objective(self.network(batch.images), batch.targets)
        features = self.network.features(batch.images)
        predictions = self.network.predict(features)
        guidance = self.guidance(features.backbone, features.neck, predictions, epoch=self._epoch)
        return self.objective(predictions, batch.targets, guidance)

    def begin_epoch(self, epoch: int) -> None:
        """Keep the number: what learns from the guidance depends on it."""
        self._epoch = epoch

    def train(self, mode: bool = True) -> DetectionTask:
        """Switch to training or evaluation; frozen parts and folded BatchNorm stay as they are."""
        super().train(mode)
        freeze(self._frozen)
        for norm in folded_norms(self.network).values():
            norm.eval()
        return self


def _guidance_for(network: DetectorNetwork, objective: object) -> Guidance | None:
    """The network's auxiliary module, on the network's device."""
    config = network.config.auxiliary
    if config is None:
        return None
    head = network.head
    if not isinstance(objective, DynamicDistributionObjective) or not isinstance(head, DistributionHead):
        raise UsageError(
            f"{network.config.name}: model.auxiliary = {config.kind!r} guides a distribution head under an objective "
            "of its own; set task.objective.kind to dynamic_distribution, or model.auxiliary to null"
        )
    return config.build(
        network.neck, network.neck.features, num_classes=head.num_classes, box_numbers=4 * head.coding.bins
    )
