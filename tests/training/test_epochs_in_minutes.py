from __future__ import annotations

import pytest

from sanderling.errors import UsageError
from sanderling.training import epochs_in_minutes
from sanderling.training.epochs_in_minutes import epochs_in, seconds_per_batch
from tests.support.training import ListLoader, cpu_runtime, mean_colour_training, random_batch


@pytest.mark.parametrize("minutes", [1.0, 10.0])
def test_the_epochs_fill_the_minutes_and_do_not_pass_them(minutes: float) -> None:
    around_s, epoch_s = 12.0, 0.7
    takes = around_s + epoch_s * epochs_in(minutes, around_s=around_s, epoch_s=epoch_s)
    assert takes <= 0.95 * 60 * minutes < takes + epoch_s


def test_less_than_an_epoch_is_refused() -> None:
    with pytest.raises(UsageError, match=r"minutes = 0.5: an epoch takes about 40.0 s and 18.5 s are left for epochs"):
        epochs_in(0.5, around_s=10, epoch_s=40)


@pytest.mark.parametrize("batches", [1, 5, 40])
def test_a_few_batches_are_timed_however_long_an_epoch_is(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, training = mean_colour_training()
    loader = ListLoader([random_batch(1, size_hw=(32, 32), seed=seed) for seed in range(batches)])
    # The first steps take 100 s, the others 2 s.
    ticks = iter([*(100.0 * step for step in range(3)), *(200.0 + 2 * step for step in range(1, 40))])
    watch = epochs_in_minutes._Watch

    def stepped(self: object, losses: object, *, pictures: int) -> None:
        self.times.append(next(ticks))  # type: ignore[attr-defined]

    monkeypatch.setattr(watch, "stepped", stepped)
    assert seconds_per_batch(training, loader, cpu_runtime(), seed=0) == pytest.approx(2.0)
    assert 12 <= training.progress.step < 24


def test_the_clock_stands_behind_it() -> None:
    _, training = mean_colour_training()
    taken = seconds_per_batch(training, ListLoader([random_batch(1, size_hw=(32, 32))]), cpu_runtime(), seed=0)
    assert 0 < taken < 5
