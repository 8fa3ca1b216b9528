from __future__ import annotations

import pytest

from sanderling.models import zoo
from sanderling.recipes.nanodet import nanodet_published
from sanderling.training.optimizer import SgdConfig
from sanderling.training.schedule import MultiStepSchedule


def test_the_published_values() -> None:
    run = nanodet_published(zoo.config("nanodet-m"))
    assert isinstance(run.optimizer, SgdConfig)
    assert (run.optimizer.lr, run.optimizer.momentum, run.optimizer.weight_decay) == (0.14, 0.9, 1e-4)
    assert run.optimizer.decay_norms
    assert (run.batch, run.loop.epochs) == (192, 280)
    assert (run.warmup.steps, run.warmup.ratio) == (300, 0.1)
    assert isinstance(run.schedule, MultiStepSchedule)
    assert [round(share * 280, 9) for share in run.schedule.milestones] == [240, 260, 275]
    assert (run.ema, run.loop.clip_norm) == (None, None)
    augment = run.augment
    assert (augment.scale, augment.translate, augment.flip, augment.mosaic) == ((0.6, 1.4), 0.2, 0.5, 0.0)
    assert (augment.brightness, augment.contrast, augment.saturation) == (0.2, (0.6, 1.4), (0.5, 1.2))


def test_at_416_pictures_shrink_further() -> None:
    assert nanodet_published(zoo.config("nanodet-m-416")).augment.scale == (0.5, 1.4)


@pytest.mark.parametrize(("batch", "lr"), [(192, 0.14), (96, 0.07), (16, 0.14 / 12)])
def test_the_learning_rate_grows_with_the_batch(batch: int, lr: float) -> None:
    assert nanodet_published(zoo.config("nanodet-m"), batch=batch).optimizer.lr == pytest.approx(lr)
