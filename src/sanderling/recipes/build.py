"""A run made ready to train: network, task, optimiser, average and schedule, placed on the device."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from sanderling.errors import UsageError
from sanderling.models.network import DetectorNetwork
from sanderling.models.weights.folded_batchnorm import folded_norms
from sanderling.models.weights.imagenet import start_from_imagenet
from sanderling.models.weights.start import start_from
from sanderling.recipes.run import Run
from sanderling.structures.batch import Batch
from sanderling.training.ema import Ema
from sanderling.training.freeze import frozen_modules
from sanderling.training.loop import Training
from sanderling.training.progress import Progress
from sanderling.training.recalibrate import recalibrate
from sanderling.training.runtime import Runtime
from sanderling.training.schedule import LearningRate
from sanderling.training.sync_batchnorm import synchronise_batchnorm

logger = logging.getLogger(__name__)


def build_training(
    run: Run, runtime: Runtime, *, batches: int, pictures: Iterable[Batch] = (), resumes: bool = False
) -> Training:
    """Build everything that learns or follows, at the beginning of its run.

    Args:
        run: with its data set's classes.
        runtime: this process's place.
        batches: of an epoch, in this process.
        pictures: of the training, to measure BatchNorm's statistics on where the weights came without them and the run
            asks for that.
        resumes: a checkpoint, which holds every weight, is loaded next; so the weights to start from are left alone.

    Raises:
        ModelError: the weights to start from cannot be used.
        UsageError: `task.freeze` names no part of the network or would keep it as it was drawn, there is no picture to
            measure on, or weights are given in two ways.
    """
    if run.weights is not None and run.pretrained is not None:
        raise UsageError(f"weights = {run.weights!r} and pretrained = {run.pretrained!r}: give one of the two")
    network = run.model.build()
    if run.pretrained is not None and not resumes:
        logger.info("pretrained on ImageNet: %s", start_from_imagenet(network))
    if run.weights is not None and not resumes:
        logger.info("%s: %s", run.weights, start_from(network, Path(run.weights)))
    if run.runtime.sync_batchnorm and runtime.world > 1:
        synchronise_batchnorm(network, on_cuda=runtime.device.type == "cuda")
    task = run.task.build(network)
    if not resumes:
        _expect_learned(run, network)
    runtime.place(task)
    if folded := len(folded_norms(network)):
        if run.task.folded_batchnorm == "recalibrate":
            recalibrate(network, (runtime.bring(batch) for batch in pictures))
        what = "measured anew" if run.task.folded_batchnorm == "recalibrate" else "kept as they are"
        logger.info("BatchNorm came folded into the convolutions: statistics of %d layers are %s", folded, what)
    ema = None if run.ema is None else Ema(network, run.ema)
    if run.runtime.compile:
        # In place, so that the names of the weights stay; by parts, where a module that only teaches sees their maps.
        whole = run.model.auxiliary is None
        for module in [network] if whole else [network.backbone, network.neck, network.head]:
            module.compile()
    steps_per_epoch = -(-batches // run.loop.accumulate)
    rate = LearningRate(
        schedule=run.schedule,
        warmup=run.warmup.within(run.loop.epochs * steps_per_epoch),
        base=run.optimizer.lr,
        epochs=run.loop.epochs,
        steps_per_epoch=steps_per_epoch,
    )
    return Training(task=task, optimizer=run.optimizer.build(task), learning_rate=rate, ema=ema, progress=Progress())


def _expect_learned(run: Run, network: DetectorNetwork) -> None:
    """Check that what is frozen has learned something before."""
    if run.weights is None and run.pretrained is None and frozen_modules(network, run.task.freeze):
        raise UsageError(
            f"task.freeze = {run.task.freeze!r} with weights = null and pretrained = null: what is frozen would stay "
            "as it was drawn. Start from weights (--weights FILE, or --pretrained imagenet for the backbone), or let "
            "everything learn: --set task.freeze=null"
        )
