"""A run made ready to train: network, task, optimiser, average and schedule, placed on the device."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from sanderling.errors import UsageError
from sanderling.models.weights.folded_batchnorm import folded_norms
from sanderling.models.weights.imagenet import start_from_imagenet
from sanderling.models.weights.start import start_from
from sanderling.recipes.run import Run
from sanderling.structures.batch import Batch
from sanderling.training.ema import Ema
from sanderling.training.loop import Training
from sanderling.training.progress import Progress
from sanderling.training.recalibrate import recalibrate
from sanderling.training.runtime import Runtime
from sanderling.training.schedule import LearningRate
from sanderling.training.sync_batchnorm import synchronise_batchnorm

logger = logging.getLogger(__name__)


def build_training(run: Run, runtime: Runtime, *, batches: int, pictures: Iterable[Batch] = ()) -> Training:
    """Build everything that learns or follows, at the beginning of its run.

    Args:
        run: with its data set's classes.
        runtime: this process's place.
        batches: of an epoch, in this process.
        pictures: of the training, to measure BatchNorm's statistics on where the weights came without them and the run
            asks for that.

    Raises:
        ModelError: the weights to start from cannot be used.
        UsageError: `task.freeze` names no part of the network, there is no picture to measure on, or weights are
            given in two ways.
    """
    if run.weights is not None and run.pretrained is not None:
        raise UsageError(f"weights = {run.weights!r} and pretrained = {run.pretrained!r}: give one of the two")
    network = run.model.build()
    if run.pretrained is not None:
        logger.info("pretrained on ImageNet: %s", start_from_imagenet(network))
    if run.weights is not None:
        logger.info("%s: %s", run.weights, start_from(network, Path(run.weights)))
    if run.runtime.sync_batchnorm and runtime.world > 1:
        synchronise_batchnorm(network, on_cuda=runtime.device.type == "cuda")
    task = run.task.build(network)
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
