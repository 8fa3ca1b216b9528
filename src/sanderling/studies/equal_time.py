"""How many epochs a training of given minutes has, found by timing a few of them."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

from sanderling.recipes.run import Run

TIMED_EPOCHS = 4
"""So many epochs are timed; the first is slower than the others and is left out."""
VALIDATIONS = 5
"""Validations of a training, evenly spread, the last after its last epoch."""
_VALIDATION_S = 3.0
"""What each further validation is taken to need."""


def timed(run: Run) -> Run:
    """The few epochs of a run that are timed, validated once."""
    return _loop(with_epochs(run, TIMED_EPOCHS), validate_every=TIMED_EPOCHS)


def epochs_that_fit(*, minutes: float, seconds: float, epoch_s: Sequence[float]) -> int:
    """Epochs that a training of so many minutes has, start and validations included; never fewer than were timed.

    Args:
        minutes: wall time of the whole training.
        seconds: wall time of the timed training, start and its validation included.
        epoch_s: seconds of each of its epochs.

    >>> epochs_that_fit(minutes=1, seconds=10, epoch_s=[3, 2, 2, 2])
    23
    """
    around_s = seconds - sum(epoch_s) + (VALIDATIONS - 1) * _VALIDATION_S
    return max(TIMED_EPOCHS, int((minutes * 60 - around_s) / statistics.median(epoch_s[1:])))


def validate_every(epochs: int) -> int:
    """Epochs from one validation to the next, so that there are `VALIDATIONS`.

    >>> validate_every(23)
    5
    """
    return -(-epochs // VALIDATIONS)


def with_epochs(run: Run, epochs: int) -> Run:
    """The run with another number of epochs; what happens at its end keeps its share.

    Milestones of the learning rate are shares already.
    """
    late = run.loop.mosaic_off
    mosaic_off = max(1, round(late * epochs / run.loop.epochs)) if late else 0
    return _loop(run, epochs=epochs, mosaic_off=mosaic_off, validate_every=validate_every(epochs))


def _loop(run: Run, **changes: int) -> Run:
    return dataclasses.replace(run, loop=dataclasses.replace(run.loop, **changes))
