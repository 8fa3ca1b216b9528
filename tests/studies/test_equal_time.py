from __future__ import annotations

import dataclasses

import pytest

from sanderling.recipes.named import named
from sanderling.studies.equal_time import TIMED_EPOCHS, VALIDATIONS, epochs_that_fit, timed, validate_every, with_epochs

RUN = named("nanodet-debug", epochs=100)


@pytest.mark.parametrize("minutes", [0.7, 1, 2.5, 10])
def test_the_epochs_fill_the_time(minutes: float) -> None:
    start_s, epoch_s, validation_s = 6.0, 1.7, 3.0
    # What is timed holds the start and one validation; the first epoch is slow.
    seconds = start_s + validation_s + epoch_s * 5
    epochs = epochs_that_fit(minutes=minutes, seconds=seconds, epoch_s=[2 * epoch_s, epoch_s, epoch_s, epoch_s])
    needed = start_s + epochs * epoch_s + VALIDATIONS * validation_s
    assert needed <= 60 * minutes < needed + epoch_s


def test_a_slow_machine_has_as_many_epochs_as_were_timed() -> None:
    assert epochs_that_fit(minutes=0.1, seconds=50, epoch_s=[9, 9, 9, 9]) == TIMED_EPOCHS


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


def test_what_is_timed_is_short_and_validated_once() -> None:
    loop = timed(RUN).loop
    assert (loop.epochs, loop.validate_every, loop.mosaic_off) == (TIMED_EPOCHS, TIMED_EPOCHS, 1)
