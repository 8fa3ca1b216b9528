from __future__ import annotations

import json
from typing import Any

import pytest

from sanderling.training.progress import Progress


def _record(metrics: dict[str, Any] | None) -> dict[str, Any]:
    return {"epoch": 1, "losses": {}, "metrics": metrics}


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([0.1, 0.2, 0.2], [True, True, False]),
        ([None, None, 0.1], [True, False, True]),
        ([0.0, None, 0.0], [True, False, False]),
    ],
)
def test_only_a_higher_score_is_better(scores: list[float | None], best: list[bool]) -> None:
    progress = Progress()
    assert [progress.finish_epoch(_record({"AP": score}), watched="AP") for score in scores] == best
    assert progress.epoch == len(progress.history) == 3
    assert progress.best_epoch == max(number for number, found in enumerate(best, start=1) if found)


def test_an_epoch_without_validation_is_never_the_best() -> None:
    progress = Progress()
    assert not progress.finish_epoch(_record(None), watched="AP")
    assert (progress.best, progress.best_epoch) == (None, 0)
    assert progress.finish_epoch(_record({}), watched="AP")
    assert (progress.best, progress.best_epoch) == (0.0, 2)


def test_survives_json() -> None:
    progress = Progress(epoch=2, step=7, best=0.1 + 0.2, best_epoch=1, skipped_in_a_row=3, history=[_record(None)])
    assert Progress.from_plain(json.loads(json.dumps(progress.to_plain()))) == progress
