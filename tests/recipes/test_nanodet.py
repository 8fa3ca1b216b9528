from __future__ import annotations

import pytest

from sanderling.models import zoo
from sanderling.objectives.distribution import DistributionObjectiveConfig
from sanderling.objectives.dynamic_distribution import DynamicDistributionObjectiveConfig
from sanderling.recipes.nanodet import PUBLISHED, PUBLISHED_PLUS, nanodet_plus_published, nanodet_published
from sanderling.training.optimizer import AdamWConfig, SgdConfig
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
    assert run.task.objective == DistributionObjectiveConfig()
    augment = run.augment
    assert (augment.scale, augment.translate, augment.flip, augment.mosaic) == ((0.6, 1.4), 0.2, 0.5, 0.0)
    assert (augment.brightness, augment.contrast, augment.saturation) == (0.2, (0.6, 1.4), (0.5, 1.2))


@pytest.mark.parametrize(
    ("name", "lr", "batch", "epochs", "milestones", "warmup", "scale"),
    [
        ("nanodet-m-0.5x", 0.07, 96, 180, [130, 160, 175], (1000, 1e-5), (0.5, 1.5)),
        ("nanodet-m-1.5x-416", 0.14, 176, 280, [240, 260, 275], (300, 0.1), (0.5, 1.4)),
        ("nanodet-t", 0.14, 160, 190, [140, 170, 180, 185], (500, 0.01), (0.6, 1.4)),
        ("nanodet-g", 0.1, 128, 190, [130, 160, 175, 185], (500, 0.01), (0.6, 1.4)),
        ("nanodet-efficientnet-lite0", 0.15, 150, 190, [140, 170, 180, 185], (500, 0.01), (0.6, 1.4)),
        ("nanodet-efficientnet-lite1", 0.07, 100, 170, [130, 150, 160, 165], (500, 0.01), (0.5, 1.5)),
        ("nanodet-efficientnet-lite2", 0.06, 60, 135, [90, 110, 120, 130], (300, 0.1), (0.5, 1.5)),
        ("nanodet-repvgg-a0", 0.07, 100, 170, [130, 150, 160, 165], (500, 0.01), (0.5, 1.5)),
    ],
)
def test_every_size_has_its_own_values(
    name: str,
    lr: float,
    batch: int,
    epochs: int,
    milestones: list[int],
    warmup: tuple[int, float],
    scale: tuple[float, float],
) -> None:
    run = nanodet_published(zoo.config(name))
    assert isinstance(run.schedule, MultiStepSchedule)
    assert (run.optimizer.lr, run.batch, run.loop.epochs) == (lr, batch, epochs)
    assert [round(share * epochs, 9) for share in run.schedule.milestones] == milestones
    assert (run.warmup.steps, run.warmup.ratio) == warmup
    assert run.augment.scale == scale


def test_the_transformer_sees_milder_colours() -> None:
    augment = nanodet_published(zoo.config("nanodet-t")).augment
    assert (augment.contrast, augment.saturation) == ((0.8, 1.2), (0.8, 1.2))


def test_at_416_pictures_shrink_further() -> None:
    assert nanodet_published(zoo.config("nanodet-m-416")).augment.scale == (0.5, 1.4)


@pytest.mark.parametrize(("batch", "lr"), [(192, 0.14), (96, 0.07), (16, 0.14 / 12)])
def test_the_learning_rate_grows_with_the_batch(batch: int, lr: float) -> None:
    assert nanodet_published(zoo.config("nanodet-m"), batch=batch).optimizer.lr == pytest.approx(lr)


def test_the_published_values_of_plus() -> None:
    run = nanodet_plus_published(zoo.config("nanodet-plus-m"))
    assert isinstance(run.optimizer, AdamWConfig)
    assert (run.optimizer.lr, run.optimizer.weight_decay, run.optimizer.decay_norms) == (1e-3, 0.05, True)
    assert (run.batch, run.loop.epochs, run.loop.clip_norm) == (96, 300, 35.0)
    assert run.schedule.factor(0.0) == 1
    assert run.optimizer.lr * run.schedule.factor(1.0) == pytest.approx(5e-5)
    assert (run.warmup.steps, run.warmup.ratio) == (500, 1e-4)
    assert run.ema is not None
    assert (run.ema.decay, run.ema.ramp) == (0.9998, 2000)
    assert (run.augment.scale, run.augment.stretch, run.augment.mosaic) == ((0.6, 1.4), (0.8, 1.2), 0.0)
    assert isinstance(run.task.objective, DynamicDistributionObjectiveConfig)
    assert run.model.picture.resize == "stretch"


def test_every_size_but_those_for_tests_has_a_recipe() -> None:
    for family, recipes in (("nanodet", PUBLISHED), ("nanodet-plus", PUBLISHED_PLUS)):
        published = {entry.name for entry in zoo.entries() if entry.family == family and entry.published}
        assert set(recipes) == published
