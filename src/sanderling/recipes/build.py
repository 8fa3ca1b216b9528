"""A run made ready to train: network, task, optimiser, average and schedule, placed on the device."""

from __future__ import annotations

import logging
from pathlib import Path

from sanderling.models.weights.start import start_from
from sanderling.recipes.run import Run
from sanderling.training.ema import Ema
from sanderling.training.loop import Training
from sanderling.training.progress import Progress
from sanderling.training.runtime import Runtime
from sanderling.training.schedule import LearningRate
from sanderling.training.sync_batchnorm import synchronise_batchnorm

logger = logging.getLogger(__name__)


def build_training(run: Run, runtime: Runtime, *, batches: int) -> Training:
    """Build everything that learns or follows, at the beginning of its run.

    Args:
        run: with its data set's classes.
        runtime: this process's place.
        batches: of an epoch, in this process.

    Raises:
        ModelError: the weights to start from cannot be used.
        UsageError: `task.freeze` names no part of the network.
    """
    network = run.model.build()
    if run.weights is not None:
        logger.info("%s: %s", run.weights, start_from(network, Path(run.weights)))
    if run.runtime.sync_batchnorm and runtime.world > 1:
        synchronise_batchnorm(network, on_cuda=runtime.device.type == "cuda")
    task = run.task.build(network)
    runtime.place(task)
    ema = None if run.ema is None else Ema(network, run.ema)
    if run.runtime.compile:
        # In place, so that the names of the weights stay.
        network.compile()
    steps_per_epoch = -(-batches // run.loop.accumulate)
    rate = LearningRate(
        schedule=run.schedule,
        warmup=run.warmup.within(run.loop.epochs * steps_per_epoch),
        base=run.optimizer.lr,
        epochs=run.loop.epochs,
        steps_per_epoch=steps_per_epoch,
    )
    return Training(task=task, optimizer=run.optimizer.build(task), learning_rate=rate, ema=ema, progress=Progress())
