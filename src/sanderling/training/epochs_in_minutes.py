"""How many epochs fit into a given time: a few are timed first, and the schedule is that of a fixed length.

So a run is resumed as any other, and two runs with the same number of epochs are the same. The time is an estimate: a
machine that slows down afterwards takes longer.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping

from torch import Tensor

from sanderling.errors import UsageError
from sanderling.structures.batch import Batch
from sanderling.training.loop import Loader, LoopConfig, Training, fit
from sanderling.training.progress import Record
from sanderling.training.runtime import Runtime

_WARM, _TIMED = 2, 10
_RESERVE = 0.05
"""Share of the time that is left free for what was not timed, such as writing checkpoints."""


def seconds_per_batch(training: Training, loader: Loader, runtime: Runtime, *, seed: int) -> float:
    """Train a few batches, each a step of its own, and time them, loading included.

    Args:
        training: freshly built; it is used up.
        loader: batches.
        runtime: this process's place.
        seed: of what the network draws.
    """
    first = _FirstBatches(loader, _WARM + _TIMED)
    watch = _Watch()
    fit(
        training,
        first,
        config=LoopConfig(epochs=-(-(_WARM + _TIMED) // len(first)), mosaic_off=0),
        runtime=runtime,
        seed=seed,
        validate=None,
        keep=lambda *_: None,
        observers=[watch],
    )
    # The first steps are slower than the others.
    return (watch.times[-1] - watch.times[_WARM]) / (len(watch.times) - 1 - _WARM)


def epochs_in(minutes: float, *, around_s: float, epoch_s: float) -> int:
    """The epochs that a run of the given minutes has.

    >>> epochs_in(10, around_s=32, epoch_s=20)
    26

    Args:
        minutes: of the whole run.
        around_s: seconds of it that pass before, between and after the epochs: start, validations, writing.
        epoch_s: seconds of an epoch.

    Raises:
        UsageError: not one epoch fits.
    """
    left_s = 60 * minutes * (1 - _RESERVE) - around_s
    epochs = int(left_s / epoch_s)
    if epochs < 1:
        raise UsageError(
            f"minutes = {minutes:g}: an epoch takes about {epoch_s:.1f} s and {max(0, left_s):.1f} s are left for "
            "epochs; give more minutes, fewer pictures or a smaller --imgsz"
        )
    return epochs


class _FirstBatches:
    """The first batches of every epoch."""

    def __init__(self, loader: Loader, count: int) -> None:
        self._loader, self._count = loader, min(count, len(loader))

    def __len__(self) -> int:
        return self._count

    def epoch(self, epoch: int, *, mosaic: bool = True, progress: float = 0.0) -> Iterator[Batch]:
        return itertools.islice(self._loader.epoch(epoch, mosaic=mosaic, progress=progress), self._count)


class _Watch:
    """Notes when each batch was done."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def epoch_started(self, epoch: int, *, epochs: int, batches: int) -> None:
        """Nothing to note."""

    def stepped(self, losses: Mapping[str, Tensor], *, pictures: int) -> None:  # noqa: ARG002 - an observer's signature
        """Wait for the batch, which a GPU may still be at, and note the time."""
        float(losses["total"])
        self.times.append(time.perf_counter())

    def epoch_ended(self, record: Record) -> None:
        """Nothing to note."""

    def closed(self) -> None:
        """Nothing to clean up."""
