from __future__ import annotations

import dataclasses

import pytest

from sanderling.errors import UsageError
from sanderling.recipes.named import named
from sanderling.studies.equal_time import (
    TIMED_EPOCHS,
    VALIDATIONS,
    epochs_beside,
    epochs_that_fit,
    timed,
    validate_every,
    with_epochs,
)

RUN = named("nanodet-debug", epochs=100)


@pytest.mark.parametrize("minutes", [0.7, 1, 2.5, 10])
def test_the_epochs_fill_the_time(minutes: float) -> None:
    start_s, epoch_s, validation_s = 6.0, 1.7, 3.0
    # The first epoch is slow, and so is one beside which the machine had other work.
    epochs_s = [2 * epoch_s, epoch_s, 3 * epoch_s, epoch_s, 1.1 * epoch_s]
    seconds = start_s + sum(epochs_s) + len(epochs_s) * validation_s
    epochs = epochs_that_fit(minutes=minutes, seconds=seconds, epoch_s=epochs_s)
    needed = start_s + epochs * epoch_s + VALIDATIONS * validation_s
    # A twentieth is kept in reserve.
    assert needed <= 57 * minutes < needed + epoch_s


def test_what_is_timed_is_validated_as_often_as_a_training() -> None:
    loop = timed(RUN).loop
    validations = [epoch for epoch in range(1, loop.epochs + 1) if epoch % loop.validate_every == 0]
    assert len(validations) == VALIDATIONS


def test_no_step_gets_more_time_than_it_has() -> None:
    assert epochs_that_fit(minutes=1, seconds=80, epoch_s=[9] * 5) == 2
    with pytest.raises(UsageError, match=r"minutes = 0.1: an epoch takes about 9.0 s and 0.7 s are left"):
        epochs_that_fit(minutes=0.1, seconds=50, epoch_s=[9] * 5)


@pytest.mark.parametrize(("fit", "has"), [(39, 39), (40, 50), (50, 50), (60, 50), (61, 61)])
def test_timings_that_cannot_be_told_apart_give_the_same_epochs(fit: int, has: int) -> None:
    assert epochs_beside(50, fit) == has
    assert epochs_beside(None, fit) == fit


@pytest.mark.parametrize("epochs", [1, 4, 5, 6, 23, 100])
def test_validations_are_spread_and_the_last_epoch_has_one(epochs: int) -> None:
    every = validate_every(epochs)
    due = [epoch for epoch in range(1, epochs + 1) if epoch % every == 0 or epoch == epochs]
    assert len(due) <= VALIDATIONS
    assert due[-1] == epochs


def test_what_happens_at_the_end_keeps_its_share() -> None:
    assert RUN.loop.mosaic_off == 10
    assert with_epochs(RUN, 40).loop == dataclasses.replace(RUN.loop, epochs=40, mosaic_off=4, validate_every=8)
    assert with_epochs(RUN, 3).loop.mosaic_off == 1
    whole = dataclasses.replace(RUN, loop=dataclasses.replace(RUN.loop, mosaic_off=0))
    assert with_epochs(whole, 200).loop.mosaic_off == 0
    assert dataclasses.replace(with_epochs(RUN, 40), loop=RUN.loop) == RUN


def test_what_is_timed_is_short_and_has_an_end_of_its_own() -> None:
    assert (timed(RUN).loop.epochs, timed(RUN).loop.mosaic_off) == (TIMED_EPOCHS, 1)
