"""The detection task: a network and the objective of its head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from sanderling.models.network import DetectorNetwork
from sanderling.objectives.distribution import DistributionObjectiveConfig
from sanderling.structures.batch import Batch
from sanderling.training.freeze import freeze, frozen_modules
from sanderling.training.task import Task

ObjectiveConfig = DistributionObjectiveConfig
"""The union of all objectives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectionTaskConfig:
    """How a detector is taught."""

    kind: Literal["detection"] = "detection"
    objective: ObjectiveConfig = field(default_factory=DistributionObjectiveConfig)
    freeze: str | int | None = None
    """`backbone`, or how many of its parts from the input on do not learn."""

    def build(self, network: DetectorNetwork) -> DetectionTask:
        """Pair a network with its objective.

        Raises:
            UsageError: `freeze` names no part of this network.
        """
        return DetectionTask(network, self)


class DetectionTask(Task):
    """Pictures and boxes to named losses."""

    def __init__(self, network: DetectorNetwork, config: DetectionTaskConfig) -> None:
        super().__init__(network)
        self.objective = config.objective.build()
        self._frozen = frozen_modules(network, config.freeze)
        freeze(self._frozen)

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        """Weighted scalar losses by name."""
        return self.objective(self.network(batch.images), batch.targets)

    def train(self, mode: bool = True) -> DetectionTask:
        """Switch to training or evaluation; frozen parts stay as they are."""
        super().train(mode)
        freeze(self._frozen)
        return self
