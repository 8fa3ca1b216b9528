from __future__ import annotations

import pytest

from sanderling.models import zoo
from sanderling.objectives.yolo import YoloObjectiveConfig
from sanderling.recipes.named import named, names
from sanderling.recipes.yolov3 import yolov3_published
from sanderling.training.optimizer import SgdConfig
from sanderling.training.schedule import MultiStepSchedule


def test_the_published_values() -> None:
    run = yolov3_published(zoo.config("yolov3-mobilenetv1"))
    assert isinstance(run.optimizer, SgdConfig)
    assert (run.optimizer.lr, run.optimizer.momentum, run.optimizer.weight_decay) == (0.001, 0.9, 5e-4)
    assert not run.optimizer.decay_norms
    assert (run.batch, run.loop.epochs) == (64, 270)
    assert (run.warmup.steps, run.warmup.ratio) == (4000, 0.0)
    assert isinstance(run.schedule, MultiStepSchedule)
    assert [round(share * 270, 9) for share in run.schedule.milestones] == [216, 243]
    assert (run.ema, run.loop.clip_norm) == (None, None)
    assert run.task.objective == YoloObjectiveConfig.paddle()
    assert run.augment.mosaic == 0
    assert run.runtime.sync_batchnorm


@pytest.mark.parametrize(("batch", "lr"), [(64, 0.001), (8, 0.000125)])
def test_the_learning_rate_grows_with_the_batch(batch: int, lr: float) -> None:
    run = yolov3_published(zoo.config("yolov3-resnet34"), batch=batch)
    assert isinstance(run.optimizer, SgdConfig)
    assert run.optimizer.lr == pytest.approx(lr)


def test_every_published_size_has_it() -> None:
    family = [entry.name for entry in zoo.entries() if entry.family == "yolov3" and entry.published is not None]
    assert len(family) == 5
    for name in family:
        assert name + "-published" in names()
        assert named(name + "-published").recipe == "yolov3-published"


def test_pictures_are_mixed_cropped_and_of_many_sizes_as_published() -> None:
    augment = yolov3_published(zoo.config("yolov3-darknet53")).augment
    assert augment.mixup is not None
    assert augment.mixup.until == pytest.approx(250 / 270)
    assert augment.expand is not None
    assert augment.crop is not None
    assert augment.sizes is not None
    assert augment.sizes.sizes_hw((608, 608))[:, 0].tolist() == list(range(320, 609, 32))
