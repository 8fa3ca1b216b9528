"""Everything that a training run is: one value, written to `run.yaml` and read back unchanged."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sanderling import config
from sanderling.data.augment import AugmentConfig
from sanderling.data.samplers import SamplingConfig, UniformSampling
from sanderling.models.network import DetectorConfig
from sanderling.training.detection import DetectionTaskConfig
from sanderling.training.ema import EmaConfig
from sanderling.training.loop import LoopConfig
from sanderling.training.optimizer import AdamWConfig, OptimizerConfig
from sanderling.training.runtime import RuntimeConfig
from sanderling.training.schedule import CosineSchedule, ScheduleConfig, Warmup
from sanderling.training.trackers import TrackerName

TaskConfig = DetectionTaskConfig
"""The union of all ways of teaching."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataChoice:
    """The data set of a run."""

    path: str = ""
    """A COCO JSON, a YOLO data.yaml, a VOC folder, or a folder that holds one of them."""
    train: str = "train"
    """The split that teaches."""
    val: str | None = "val"
    """The split that is validated on; None trains without validation."""
    data_format: Literal["coco", "yolo", "voc"] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A training run. Two runs of equal value on the same machine give the same weights."""

    recipe: str
    """Where the values come from."""
    model: DetectorConfig
    data: DataChoice = field(default_factory=DataChoice)
    task: TaskConfig = field(default_factory=DetectionTaskConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    sampling: SamplingConfig = field(default_factory=UniformSampling)
    """How often each picture is seen in an epoch."""
    batch: Annotated[int, Field(gt=0)] = 16
    """Pictures of a batch, over all processes."""
    loop: LoopConfig = field(default_factory=LoopConfig)
    optimizer: OptimizerConfig = field(default_factory=AdamWConfig)
    schedule: ScheduleConfig = field(default_factory=CosineSchedule)
    warmup: Warmup = field(default_factory=Warmup)
    ema: EmaConfig | None = None
    weights: str | None = None
    """Weights to start from; None starts from freshly drawn ones."""
    pretrained: Literal["imagenet"] | None = None
    """Start the backbone from its published ImageNet weights, downloaded unless they are in the cache."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    trackers: tuple[TrackerName, ...] = ("tensorboard",)
    """Who is told of losses and metrics, beside the run's own files."""
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def with_data(self, **changes: object) -> Run:
        """The same run on other data."""
        return dataclasses.replace(self, data=dataclasses.replace(self.data, **changes))  # type: ignore[arg-type]


def read_run(path: Path) -> Run:
    """Read a `run.yaml`.

    Raises:
        UsageError: the file is missing, is not YAML, has an unknown key or a value that does not fit.
    """
    return config.load(Run, path)
