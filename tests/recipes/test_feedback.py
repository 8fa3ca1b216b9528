from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from sanderling import config
from sanderling.data.loader import TrainingLoader
from sanderling.recipes.build import build_training
from sanderling.recipes.feedback import with_feedback
from sanderling.recipes.named import named
from sanderling.recipes.run import Run
from sanderling.training.activation_memory import MarkingLoader
from sanderling.training.loop import Loader, LoopConfig, Training, fit
from tests.support.painted_sets import painted_set
from tests.support.training import cpu_runtime

_BOTH = ("augment.stitcher={}", "augment.activation_cutout={}")


def _ready(folder: Path, *assignments: str) -> tuple[Training, TrainingLoader, Loader]:
    fixed = ("runtime.device=cpu", "runtime.threads=1", "model.picture.size_hw=[64, 96]")
    dataset = painted_set(folder, [(64, 80)] * 4)
    run: Run = config.override(named("nanodet-debug"), (*fixed, *assignments))
    run = dataclasses.replace(run, model=run.model.with_classes(dataset.class_names))
    torch.manual_seed(0)
    loader = TrainingLoader(dataset, picture=run.model.picture, augment=run.augment, batch=2, seed=0)
    training = build_training(run, cpu_runtime(), batches=len(loader))
    return training, loader, with_feedback(run, training, loader, cpu_runtime())


def test_a_run_without_has_none(tmp_path: Path) -> None:
    training, loader, batches = _ready(tmp_path)
    assert training.feedback == ()
    assert batches is loader


def test_what_a_run_asks_for_learns_with_it(tmp_path: Path) -> None:
    training, loader, batches = _ready(tmp_path, *_BOTH, "augment.mosaic=0.0", "augment.stitcher.threshold=0.5")
    assert [feedback.name for feedback in training.feedback] == ["stitcher", "activation_cutout"]
    assert isinstance(batches, MarkingLoader)
    fit(
        training,
        batches,
        config=LoopConfig(epochs=1),
        runtime=cpu_runtime(),
        seed=0,
        validate=None,
        keep=lambda *_: None,
    )
    share, marks = (feedback.state() for feedback in training.feedback)
    assert 0 <= share["small_share"] <= 1
    assert len(marks["marks"]) == len(loader.dataset) * 16 * 16 / 8
