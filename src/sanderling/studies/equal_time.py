"""Trainings of equal time: how many epochs each has, found by timing a few of them.

An epoch takes as long as the fastest of those timed, as what slows one down is other work on the machine. Still two
timings of the same training differ, and other numbers of epochs would then pass for what a step is worth: a step into
whose time nearly the epochs of the one it is compared with would fit gets as many as that one, and other minutes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sanderling.recipes.run import Run
from sanderling.training.epochs_in_minutes import epochs_in

VALIDATIONS = 5
"""Validations of a training, evenly spread, the last after its last epoch."""
TIMED_EPOCHS = VALIDATIONS
"""So many epochs are timed, each with its validation: what a training does beside its epochs is then timed whole."""
SAME_EPOCHS = 0.2
"""Share by which the epochs that fit may differ before a step gets another number than the one it is compared with."""


def timed(run: Run) -> Run:
    """The few epochs of a run that are timed."""
    return with_epochs(run, TIMED_EPOCHS)


def epochs_that_fit(*, minutes: float, seconds: float, epoch_s: Sequence[float]) -> int:
    """Epochs that a training of so many minutes has, start and validations included.

    Args:
        minutes: wall time of the whole training.
        seconds: wall time of the timed training, start and validations included.
        epoch_s: seconds of each of its epochs; the first is slower than the others and is left out.

    Raises:
        UsageError: not one fits.

    >>> epochs_that_fit(minutes=1, seconds=20, epoch_s=[3, 2, 2, 2, 2])
    24
    """
    return epochs_in(minutes, around_s=seconds - sum(epoch_s), epoch_s=min(epoch_s[1:]))


def epochs_beside(compared: int | None, fit: int) -> int:
    """The epochs of a step: as many as fit, or those of the step it is compared with where these are near.

    >>> epochs_beside(50, 45), epochs_beside(50, 30), epochs_beside(None, 45)
    (50, 30, 45)
    """
    return compared if compared is not None and abs(fit - compared) <= SAME_EPOCHS * compared else fit


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
    every = validate_every(epochs)
    loop = dataclasses.replace(run.loop, epochs=epochs, mosaic_off=mosaic_off, validate_every=every)
    return dataclasses.replace(run, loop=loop)
