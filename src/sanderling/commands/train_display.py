"""What people see while a training runs: a live line on a terminal, one plain line per epoch elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from sanderling.training.progress import Record

_REFRESH_S = 0.2


def train_display() -> TrainDisplay | TrainLines:
    """The display that fits where standard error goes."""
    from rich.console import Console

    console = Console(stderr=True)
    return TrainDisplay(console) if console.is_terminal else TrainLines(console)


class TrainLines:
    """One line per epoch, for logs."""

    def __init__(self, console: Any) -> None:
        self._console = console
        self._started = time.perf_counter()
        self._first_epoch, self._epoch, self._epochs = 1, 1, 0

    def epoch_started(self, epoch: int, *, epochs: int, batches: int) -> None:  # noqa: ARG002 - an observer's signature
        """Note where the run stands."""
        if not self._epochs:
            self._first_epoch, self._started = epoch, time.perf_counter()
        self._epoch, self._epochs = epoch, epochs

    def stepped(self, losses: Mapping[str, Tensor], *, pictures: int) -> None:
        """Nothing is shown within an epoch."""

    def epoch_ended(self, record: Record) -> None:
        """Print the epoch."""
        self._console.print(epoch_line(record, self._epochs, eta_s=self._eta(1.0)), soft_wrap=True)

    def closed(self) -> None:
        """Nothing to clean up."""

    def _eta(self, share: float) -> float:
        """Seconds that are left when this share of the epoch is done, at the pace of this call so far."""
        done = self._epoch - self._first_epoch + share
        return (time.perf_counter() - self._started) / done * (self._epochs - self._epoch + 1 - share)


class TrainDisplay(TrainLines):
    """A bar with losses, throughput and the time that is left; finished epochs stay above it."""

    def __init__(self, console: Any) -> None:
        super().__init__(console)
        from rich.progress import BarColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=28),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[text]}"),
            console=console,
            transient=True,
        )
        self._task: Any = None
        self._shown = 0.0
        self._pictures, self._batches, self._batches_of_epoch = 0, 0, 1
        self._epoch_started = 0.0

    def epoch_started(self, epoch: int, *, epochs: int, batches: int) -> None:
        """Begin the bar anew."""
        super().epoch_started(epoch, epochs=epochs, batches=batches)
        if self._task is None:
            self._task = self._bar.add_task("train", total=batches, epoch=epoch, epochs=epochs, text="")
            self._bar.start()
        self._pictures, self._batches, self._batches_of_epoch = 0, 0, batches
        self._epoch_started = time.perf_counter()
        self._bar.reset(self._task, total=batches, epoch=epoch, epochs=epochs, text="")

    def stepped(self, losses: Mapping[str, Tensor], *, pictures: int) -> None:
        """Show the step, a few times a second."""
        self._pictures += pictures
        self._batches += 1
        now = time.perf_counter()
        if now - self._shown < _REFRESH_S:
            return
        self._shown = now
        rate = self._pictures / max(1e-9, now - self._epoch_started)
        left = _duration(self._eta(self._batches / self._batches_of_epoch))
        text = "  ".join(f"{name} {float(loss):.3f}" for name, loss in losses.items())
        # A narrow terminal cuts the end off, so the losses come last.
        self._bar.update(self._task, completed=self._batches, text=f"{left} left  {rate:.0f} pictures/s  {text}")

    def closed(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def epoch_line(record: Record, epochs: int, *, eta_s: float) -> str:
    """An epoch in one line."""
    losses = " ".join(f"{name} {value:.3f}" for name, value in record["losses"].items())
    metrics = record["metrics"] or {}
    scores = " ".join(f"{name} {100 * metrics[name]:.1f}" for name in ("AP", "AP50") if metrics.get(name) is not None)
    parts = [
        f"epoch {record['epoch']}/{epochs}",
        f"loss: {losses}",
        f"lr {record['lr']:.2e}",
        f"{record['pictures_per_s']:.1f} pictures/s",
        *([scores] if scores else []),
        *([f"{record['skipped_steps']} steps skipped: gradient not finite"] if record["skipped_steps"] else []),
        f"{_duration(eta_s)} left",
    ]
    return "  ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
