from __future__ import annotations

import pytest

from sanderling.models import zoo
from sanderling.objectives.yolo import YoloObjectiveConfig
from sanderling.recipes.yoloret import PUBLISHED, yoloret_published
from sanderling.training.optimizer import AdamWConfig
from sanderling.training.schedule import CosineSchedule

MODEL = zoo.config("yoloret-mobilenetv2-0.75")


@pytest.mark.parametrize(("step", "epochs", "lr", "freeze"), [(1, 100, 1e-3, "backbone"), (2, 150, 1e-4, None)])
def test_the_published_values_of_both_runs(step: int, epochs: int, lr: float, freeze: str | None) -> None:
    run = yoloret_published(MODEL, step=step)  # type: ignore[arg-type]
    assert (run.loop.epochs, run.batch, run.task.freeze) == (epochs, 8, freeze)
    assert isinstance(run.optimizer, AdamWConfig)
    assert (run.optimizer.lr, run.optimizer.weight_decay) == (lr, 0.0)
    assert run.schedule == CosineSchedule(final=0.0)
    assert run.task.objective == YoloObjectiveConfig.yoloret()
    assert (run.ema, run.augment.mosaic, run.augment.scale) == (None, 0.0, (0.25, 2.0))


def test_the_learning_rate_grows_with_the_root_of_the_batch() -> None:
    run = yoloret_published(MODEL, batch=32, epochs=10)
    assert isinstance(run.optimizer, AdamWConfig)
    assert run.optimizer.lr == pytest.approx(2e-3)
    assert run.loop.epochs == 10


def test_it_is_for_the_published_detectors() -> None:
    family = {entry.name for entry in zoo.entries() if entry.family == "yoloret"}
    assert set(PUBLISHED) == family - {"yoloret-debug"}
