"""Which objective teaches which detector: its family's own, else the one that fits its head."""

from __future__ import annotations

from collections.abc import Mapping

from sanderling.models import zoo
from sanderling.models.heads.distribution import DistributionHeadConfig
from sanderling.models.network import DetectorConfig
from sanderling.objectives.distribution import DistributionObjectiveConfig
from sanderling.training.detection import ObjectiveConfig

_BY_FAMILY: Mapping[str, ObjectiveConfig] = {}
"""Families whose authors teach them in another way than is usual for their head."""

_BY_HEAD: Mapping[type, ObjectiveConfig] = {DistributionHeadConfig: DistributionObjectiveConfig()}


def objective_of(model: DetectorConfig) -> ObjectiveConfig:
    """The objective that a detector is taught with unless a run says otherwise.

    >>> from sanderling.models import zoo
    >>> objective_of(zoo.config("nanodet-m")).kind
    'distribution'
    """
    family = zoo.entry(model.name).family if model.name in zoo.names() else None
    by_family = _BY_FAMILY.get(family) if family is not None else None
    return by_family if by_family is not None else _BY_HEAD[type(model.head)]
