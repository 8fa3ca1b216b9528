from __future__ import annotations

import pytest

from sanderling.models import zoo
from sanderling.recipes.fine_tune import fine_tune


def test_the_learning_rate_grows_with_the_root_of_the_batch() -> None:
    rates = [fine_tune(zoo.config("nanodet-m"), batch=batch).optimizer.lr for batch in (4, 16, 64)]
    assert rates == [pytest.approx(rates[1] / 2), rates[1], pytest.approx(rates[1] * 2)]


@pytest.mark.parametrize(("epochs", "without"), [(1, 1), (9, 1), (100, 10)])
def test_mosaic_ends_before_the_end(epochs: int, without: int) -> None:
    run = fine_tune(zoo.config("nanodet-m"), epochs=epochs)
    assert (run.loop.epochs, run.loop.mosaic_off) == (epochs, without)
    assert run.augment.mosaic > 0


def test_given_weights_are_moved_in_smaller_steps() -> None:
    model = zoo.config("nanodet-m")
    assert fine_tune(model, from_scratch=False).optimizer.lr < fine_tune(model).optimizer.lr
