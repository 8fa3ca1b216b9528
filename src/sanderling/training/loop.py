"""The training loop: one screen, for every task, device and number of processes."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.errors import RunError
from sanderling.models.network import DetectorNetwork
from sanderling.ops.tensor.divisors import JoinedBatches
from sanderling.structures.batch import Batch
from sanderling.training.ema import Ema
from sanderling.training.feedback import Feedback
from sanderling.training.progress import Observer, Progress, Record
from sanderling.training.runtime import Runtime
from sanderling.training.schedule import LearningRate
from sanderling.training.task import Task

WATCHED = "AP"
"""The metric whose best epoch is kept."""
_MOST_SKIPPED = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopConfig:
    """How long and how often."""

    epochs: Annotated[int, Field(gt=0)] = 100
    accumulate: Annotated[int, Field(gt=0)] = 1
    """Batches whose gradients make one step together: that of one batch with all their pictures, BatchNorm apart.

    The YOLO objective's losses are means over pictures; of these the batches have to have equally many. All others are
    means over positives, which a forward pass more counts first. Under Stitcher or activation cutout, which change
    batches between the passes, it is not done, and each batch is divided by its own.
    """
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Longer gradients are shortened to this length."""
    mosaic_off: Annotated[int, Field(ge=0)] = 10
    """The last so many epochs see whole pictures only."""
    validate_every: Annotated[int, Field(gt=0)] = 1
    """Epochs from one validation to the next; the last epoch is always validated."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop at the first validation that is so many epochs after the best one; 0 never stops early."""


class Loader(Protocol):
    """Batches of an epoch, a pure function of its number."""

    def __len__(self) -> int:
        """Batches of an epoch."""
        ...

    def epoch(self, epoch: int, *, mosaic: bool = True, progress: float = 0.0) -> Iterator[Batch]:
        """The batches of an epoch (from 0), `progress` (0..1) of the run being over."""
        ...


@dataclass(kw_only=True, slots=True)
class Training:
    """Everything that learns or follows.

    Attributes:
        task: what is trained.
        optimizer: over the task's parameters.
        learning_rate: of every step.
        ema: the average that is validated and kept, None to take the network itself.
        progress: where the run stands.
        feedback: what makes the next batch depend on this one, in the order in which they change it.
    """

    task: Task
    optimizer: torch.optim.Optimizer
    learning_rate: LearningRate
    ema: Ema | None
    progress: Progress
    feedback: Sequence[Feedback] = ()

    @property
    def shipped(self) -> DetectorNetwork:
        """The network that is validated and kept."""
        return self.task.network if self.ema is None else self.ema.network


def fit(
    training: Training,
    loader: Loader,
    *,
    config: LoopConfig,
    runtime: Runtime,
    seed: int,
    validate: Callable[[DetectorNetwork], dict[str, float | None]] | None,
    keep: Callable[[Training, bool], None],
    observers: Sequence[Observer] = (),
) -> None:
    """Train from where `training.progress` stands to the last epoch, or until it gets no better.

    Args:
        training: what learns; placed on the device.
        loader: batches.
        config: how long and how often.
        runtime: this process's place.
        seed: with the epoch and the rank, it seeds what the network draws, so that nothing has to be stored to resume.
        validate: network to metrics, in every process; None where there is nothing to validate on.
        keep: stores the run after an epoch; told whether the epoch is the best so far.
        observers: told of every step and epoch.

    Raises:
        RunError: the gradients stay infinite or not a number.
    """
    module, progress = runtime.distribute(training.task), training.progress
    while progress.epoch < config.epochs and not _given_up(progress, config.patience):
        epoch = progress.epoch
        torch.manual_seed(seed * 1_000_003 + epoch * 1009 + runtime.rank)
        training.task.begin_epoch(epoch)
        for observer in observers:
            observer.epoch_started(epoch + 1, epochs=config.epochs, batches=len(loader))
        mosaic = epoch < config.epochs - config.mosaic_off
        batches = loader.epoch(epoch, mosaic=mosaic, progress=epoch / config.epochs)
        record = _train_epoch(module, batches, training, config=config, runtime=runtime, observers=observers)
        runtime.share_buffers(training.task, training.shipped)
        for feedback in training.feedback:
            feedback.epoch_ended()
        due = (epoch + 1) % config.validate_every == 0 or epoch + 1 == config.epochs
        record["metrics"] = validate(training.shipped) if validate is not None and due else None
        best = progress.finish_epoch(record, watched=WATCHED)
        keep(training, best)
        for observer in observers:
            observer.epoch_ended(record)


def _train_epoch(
    module: nn.Module,
    batches: Iterator[Batch],
    training: Training,
    *,
    config: LoopConfig,
    runtime: Runtime,
    observers: Sequence[Observer],
) -> Record:
    module.train()
    meter, progress = _Meter(), training.progress
    while group := list(itertools.islice(batches, config.accumulate)):
        meter.rate = training.learning_rate.apply(training.optimizer, progress.step)
        together = _together(group, training, runtime)
        for index, drawn in enumerate(group, start=1):
            batch = drawn
            for feedback in training.feedback:
                batch = feedback.before(batch)
            batch = runtime.bring(batch)
            with runtime.without_averaging(module, active=index < len(group)):
                with runtime.autocast(), together():
                    losses = module(batch)
                total = torch.stack(list(losses.values())).sum()
                for feedback in training.feedback:
                    feedback.after(batch, losses)
                (total / len(group)).backward()
            detached = {**{name: loss.detach() for name, loss in losses.items()}, "total": total.detach()}
            pictures = len(batch.images) * runtime.world
            meter.add(detached, pictures=pictures)
            for observer in observers:
                observer.stepped(detached, pictures=pictures)
        # The gradients are averaged over the processes by now, so that all of them decide alike.
        if math.isfinite(_clip(training.optimizer, config.clip_norm)):
            training.optimizer.step()
            if training.ema is not None:
                training.ema.update(training.task.network, progress.step)
            progress.skipped_in_a_row = 0
        else:
            meter.skipped += 1
            progress.skipped_in_a_row += 1
            if progress.skipped_in_a_row >= _MOST_SKIPPED:
                raise _diverged(group, meter.rate)
        training.optimizer.zero_grad()
        progress.step += 1
    return meter.record(progress.epoch + 1)


def _together(
    group: Sequence[Batch], training: Training, runtime: Runtime
) -> Callable[[], AbstractContextManager[None]]:
    """Where the losses of a step's batches are those of the joined batch, whatever they are divided by.

    Each batch is looked at first, which leaves no trace in buffers and in torch's random numbers. With feedback nobody
    knows yet what it will make of the next batch.
    """
    if len(group) == 1 or training.feedback or training.task.means_over_pictures:
        return contextlib.nullcontext
    joined = JoinedBatches(len(group))
    before = [buffer.clone() for buffer in training.task.buffers()]
    devices = [runtime.device] if runtime.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        for batch in group:
            with runtime.autocast(), joined.looking():
                training.task(runtime.bring(batch))
        for buffer, kept in zip(training.task.buffers(), before, strict=True):
            buffer.copy_(kept)
    return joined.teaching


class _Meter:
    """Sums of one epoch; of this process where there are several."""

    def __init__(self) -> None:
        self.rate = 0.0
        self.skipped = 0
        self._started = time.perf_counter()
        self._pictures = 0
        self._counted: Tensor | int = 0
        self._sums: dict[str, Tensor] = {}

    def add(self, losses: Mapping[str, Tensor], *, pictures: int) -> None:
        """Take in a batch."""
        self._pictures += pictures
        # Where the loss is not a number the step is skipped; such a batch takes no part in the epoch's mean.
        counts = losses["total"].isfinite()
        self._counted = counts.int() + self._counted
        self._sums = {name: loss.where(counts, 0) + self._sums.get(name, 0) for name, loss in losses.items()}

    def record(self, epoch: int) -> Record:
        """The epoch in plain values, not validated yet."""
        seconds = time.perf_counter() - self._started
        return {
            "epoch": epoch,
            "time_s": round(seconds, 3),
            "lr": self.rate,
            "losses": {name: float(total) / max(1, int(self._counted)) for name, total in self._sums.items()},
            "pictures_per_s": round(self._pictures / seconds, 2),
            "skipped_steps": self.skipped,
            "metrics": None,
        }


def _diverged(group: Sequence[Batch], rate: float) -> RunError:
    """Why the run stops where no step can be taken any more."""
    ids = ", ".join(str(picture) for batch in group for picture in batch.picture_ids[:4])
    return RunError(
        f"the run diverged: gradients were infinite or not a number in {_MOST_SKIPPED} steps in a row at "
        f"learning rate {rate:.3g} (pictures of the last step: {ids}); lower optimizer.lr, set "
        "loop.clip_norm, or check the labels with: sanderling data check"
    )


def _clip(optimizer: torch.optim.Optimizer, longest: float | None) -> float:
    """Shorten the gradient to a length, and give the length that it had."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    norm = nn.utils.clip_grad_norm_(parameters, math.inf if longest is None else longest)
    return float(norm)


def _given_up(progress: Progress, patience: int) -> bool:
    """Whether the last epoch was validated and is too far from the best; between validations nobody knows."""
    if not patience or progress.best is None or progress.history[-1]["metrics"] is None:
        return False
    return progress.epoch - progress.best_epoch >= patience
