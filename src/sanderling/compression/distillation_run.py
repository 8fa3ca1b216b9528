"""Everything that the distillation of a backbone is: one value, written to `run.yaml` and read back unchanged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import torch
from pydantic import Field

from sanderling.compression.backbone_distillation import BackboneDistillation
from sanderling.compression.teacher import Teacher
from sanderling.data.augment import AugmentConfig
from sanderling.models.network import DetectorConfig
from sanderling.training.loop import LoopConfig, Training
from sanderling.training.optimizer import AdamWConfig, OptimizerConfig
from sanderling.training.progress import Progress
from sanderling.training.runtime import Runtime, RuntimeConfig
from sanderling.training.schedule import CosineSchedule, LearningRate, ScheduleConfig, Warmup

SIZE = 192
"""Side of the pictures: EfficientNet-Lite2 sees 260 pixels in its own training and costs half as much at this size."""


def _augment() -> AugmentConfig:
    return AugmentConfig(scale=(1.0, 2.0), stretch=(0.87, 1.15), translate=0.3)


@dataclass(frozen=True, kw_only=True, slots=True)
class DistillationRun:
    """A distillation. Two of equal value on the same machine give the same weights.

    There is no average over the weights: the cosine ends near zero, and what is measured in the end is what ships.
    """

    model: DetectorConfig
    """The detector whose backbone learns; its picture rule is that of the distillation."""
    teacher: str = "efficientnet-lite2"
    """`efficientnet-lite0`, `-lite1`, `-lite2`, or a model of timm."""
    pictures: tuple[str, ...] = ()
    """Data sets, pictures, and folders that hold any of them."""
    held_back: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the pictures that is not learnt from but measured on in the end."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """Where `loop.epochs` comes from, if it was not chosen: so many fit into this time."""
    augment: AugmentConfig = field(default_factory=_augment)
    """By default parts of half the sides and more, where boxes play no part."""
    batch: Annotated[int, Field(gt=0)] = 32
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(epochs=30, clip_norm=35.0, mosaic_off=0))
    optimizer: OptimizerConfig = field(default_factory=lambda: AdamWConfig(lr=3e-3, weight_decay=0.02))
    schedule: ScheduleConfig = field(default_factory=lambda: CosineSchedule(final=0.01))
    warmup: Warmup = field(default_factory=lambda: Warmup(steps=50, ratio=0.01))
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)


def build_distillation(
    run: DistillationRun, teacher: Teacher, runtime: Runtime, *, batches: int
) -> tuple[BackboneDistillation, Training]:
    """Build everything that learns or follows, at the beginning of its run.

    Args:
        run: what is wanted.
        teacher: on the device.
        runtime: this process's place.
        batches: of an epoch.
    """
    torch.manual_seed(run.seed)
    task = BackboneDistillation(run.model.build(), teacher)
    runtime.place(task)
    if run.runtime.compile:
        # In place, so that the names of the weights stay.
        task.network.backbone.compile()
    steps_per_epoch = -(-batches // run.loop.accumulate)
    rate = LearningRate(
        schedule=run.schedule,
        warmup=run.warmup.within(run.loop.epochs * steps_per_epoch),
        base=run.optimizer.lr,
        epochs=run.loop.epochs,
        steps_per_epoch=steps_per_epoch,
    )
    optimizer = run.optimizer.build(task)
    return task, Training(task=task, optimizer=optimizer, learning_rate=rate, ema=None, progress=Progress())
