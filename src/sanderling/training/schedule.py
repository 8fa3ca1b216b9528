"""Learning rates over time: pure functions of the step, so that nothing has to be stored to resume."""

from __future__ import annotations

import bisect
import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Warmup:
    """A rise at the beginning, over so many optimiser steps.

    The first three forms are NanoDet's, burn_in is darknet's (with a ratio of 0).
    """

    steps: Annotated[int, Field(ge=0)] = 300
    """Never more than a fifth of the run, so that a short one reaches its learning rate."""
    ratio: Share = 0.1
    """Share of the learning rate at the first step."""
    form: Literal["linear", "constant", "exponential", "burn_in"] = "linear"
    """How it goes from there: evenly, in one leap at the end, by equal factors, or with the fourth power of time."""

    def __post_init__(self) -> None:
        """Check that there is something to multiply."""
        if self.form == "exponential" and not self.ratio:
            raise ValueError("form = 'exponential' needs a ratio above 0 to start from; set one, or take burn_in")

    def within(self, steps: int) -> Warmup:
        """The warm-up of a run of so many steps."""
        return dataclasses.replace(self, steps=min(self.steps, steps // 5))

    def factor(self, step: int) -> float:
        """Share of the learning rate at a step."""
        if step >= self.steps:
            return 1.0
        if self.form == "constant":
            return self.ratio
        if self.form == "exponential":
            return float(self.ratio ** (1 - step / self.steps))
        if self.form == "burn_in":
            return self.ratio + (1 - self.ratio) * (step / self.steps) ** 4
        return self.ratio + (1 - self.ratio) * step / self.steps


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiStepSchedule:
    """Multiply by `gamma` at each milestone."""

    kind: Literal["multistep"] = "multistep"
    milestones: tuple[Share, ...] = (240 / 280, 260 / 280, 275 / 280)
    """When, as shares of all epochs (NanoDet-m: epochs 240, 260 and 275 of 280)."""
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1

    def __post_init__(self) -> None:
        """Check that the milestones rise, as they are searched in that order."""
        if list(self.milestones) != sorted(self.milestones):
            raise ValueError(f"milestones = {self.milestones} must rise; write the earliest first")

    def factor(self, done: float) -> float:
        """Share of the learning rate when `done` (0..1) of the training is over."""
        return float(self.gamma ** bisect.bisect_right(self.milestones, done))


@dataclass(frozen=True, kw_only=True, slots=True)
class CosineSchedule:
    """Fall along half a cosine to `final` of the learning rate."""

    kind: Literal["cosine"] = "cosine"
    final: Share = 0.05

    def factor(self, done: float) -> float:
        """Share of the learning rate when `done` (0..1) of the training is over."""
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(1.0, done))) / 2


ScheduleConfig = Annotated[MultiStepSchedule | CosineSchedule, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True, slots=True)
class LearningRate:
    """The learning rate of every optimiser step.

    Attributes:
        schedule: the long curve, constant within an epoch.
        warmup: the rise at the beginning, which is multiplied with it.
        base: learning rate that both are shares of.
        epochs: of the whole training.
        steps_per_epoch: optimiser steps of an epoch.
    """

    schedule: MultiStepSchedule | CosineSchedule
    warmup: Warmup
    base: float
    epochs: int
    steps_per_epoch: int

    def at(self, step: int) -> float:
        """The learning rate of a step, counted from 0 over the whole training."""
        epoch = step // self.steps_per_epoch
        return self.base * self.warmup.factor(step) * self.schedule.factor(epoch / self.epochs)

    def apply(self, optimizer: torch.optim.Optimizer, step: int) -> float:
        """Set the learning rate of a step in all groups and give it."""
        rate = self.at(step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        return rate
