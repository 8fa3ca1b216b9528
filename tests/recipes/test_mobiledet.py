from __future__ import annotations

import pytest

from sanderling.models import zoo
from sanderling.objectives.ssd import SsdObjectiveConfig
from sanderling.recipes.mobiledet import PUBLISHED, mobiledet_published
from sanderling.recipes.named import named
from sanderling.training.optimizer import SgdConfig
from sanderling.training.schedule import CosineSchedule


def test_the_published_values() -> None:
    run = mobiledet_published(zoo.config("ssdlite-mobiledet-dsp"))
    assert isinstance(run.optimizer, SgdConfig)
    assert (run.optimizer.lr, run.optimizer.momentum, run.optimizer.weight_decay) == (0.8, 0.9, 4e-5)
    assert not run.optimizer.decay_norms
    assert run.schedule == CosineSchedule(final=0.0)
    assert run.warmup.steps == 2000
    assert run.warmup.ratio * run.optimizer.lr == pytest.approx(0.13333)
    assert (run.ema, run.loop.clip_norm) == (None, None)
    assert run.task.objective == SsdObjectiveConfig(alpha=0.75, gamma=2.0, match_iou=0.5)


def test_so_many_epochs_of_coco_are_the_published_steps() -> None:
    run = mobiledet_published(zoo.config("ssdlite-mobiledet-cpu"))
    assert run.loop.epochs * 118_000 / run.batch == pytest.approx(400_000, rel=1e-3)


@pytest.mark.parametrize(("batch", "lr"), [(512, 0.4), (64, 0.05)])
def test_mobilenetv3_has_half_the_learning_rate_and_it_grows_with_the_batch(batch: int, lr: float) -> None:
    run = mobiledet_published(zoo.config("ssdlite-mobilenetv3-large"), batch=batch)
    assert isinstance(run.optimizer, SgdConfig)
    assert run.optimizer.lr == pytest.approx(lr)
    assert run.warmup.ratio == pytest.approx(0.13333 / 0.4)


@pytest.mark.parametrize("name", PUBLISHED)
def test_they_are_found_by_name(name: str) -> None:
    assert named(f"{name}-published").recipe == "mobiledet-published"
