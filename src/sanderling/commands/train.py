"""`train`: a recipe and a data set in; a run folder with weights, metrics and a report out."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sanderling.commands.batch_auto import planned_within_memory
from sanderling.commands.batch_probe import ProbeRequest
from sanderling.commands.folders import output_folder
from sanderling.commands.open_detector import require_torch
from sanderling.commands.train_plan import TrainWishes, asked_batch, on_this_machine, planned, resumed
from sanderling.errors import DataError, RunError, UsageError

if TYPE_CHECKING:
    from sanderling.data.loader import TrainingLoader
    from sanderling.datasets.dataset import Dataset
    from sanderling.recipes.run import Run
    from sanderling.structures.report import Report
    from sanderling.training.loop import Training
    from sanderling.training.progress import Observer
    from sanderling.training.run_folder import RunFolder
    from sanderling.training.runtime import Runtime

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOutcome:
    """What a training gave.

    Attributes:
        folder: the run's folder.
        weights: the best weights.
        report: of the best weights on the validation split, None without one.
        epochs: finished epochs.
        best_epoch: the epoch that gave the best weights, 0 where nothing was validated.
        seconds: of this call.
        unreadable: pictures of either split that could not be decoded, with the reason.
    """

    folder: Path
    weights: Path
    report: Report | None
    epochs: int
    best_epoch: int
    seconds: float
    unreadable: dict[str, str]

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "folder": str(self.folder),
            "weights": str(self.weights),
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "seconds": round(self.seconds, 2),
            "unreadable": dict(self.unreadable),
            "report": None if self.report is None else self.report.to_plain(),
        }


def train(
    run: str | Path,
    *,
    data: str | Path | None = None,
    data_format: str | None = None,
    weights: str | Path | None = None,
    pretrained: str | None = None,
    epochs: int | None = None,
    batch: int | Literal["auto"] | None = None,
    memory: str | None = None,
    imgsz: int | Sequence[int] | None = None,
    device: str | None = None,
    workers: int | None = None,
    threads: int | None = None,
    seed: int | None = None,
    patience: int | None = None,
    freeze: str | int | None = None,
    name: str | None = None,
    assignments: Sequence[str] = (),
    output: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> TrainOutcome:
    """Train a detector.

    Args:
        run: a model's name (its default recipe), a recipe's name, a `run.yaml`, or, to resume, a run's folder.
        data: the data set: a COCO JSON, a YOLO data.yaml, a VOC folder, or a folder that holds one of them.
        data_format: coco, yolo or voc, where a folder holds several.
        weights: a file to start from, of any format that `weights import` reads, or a backbone's ImageNet weights.
        pretrained: `imagenet` starts the backbone from its published weights, downloaded unless they are in the cache.
        epochs: of the whole training.
        batch: pictures of a batch, over all processes; a recipe's learning rate follows. `auto` measures which fit.
        memory: the budget of `auto`, such as `4GB`: of the training with its loaders on the processor, of torch on a
            GPU; most of what is free without it.
        imgsz: side of the network input, or height and width; rounded up to the stride.
        device: `cpu`, `cuda`, `cuda:1`.
        workers: processes that load pictures.
        threads: threads on the processor.
        seed: of everything that is drawn.
        patience: stop after so many epochs without a better AP.
        freeze: `backbone`, or how many of its parts do not learn.
        name: of the folder under `runs/train`.
        assignments: `key=value` for any other value of the run.
        output: the run's folder.
        resume: go on with the run in that folder; other settings may be repeated and not changed.
        overwrite: replace what is in `output`.

    Raises:
        UsageError: an unknown name, key or value.
        DataError: the data set cannot be read or holds nothing to learn from.
        ModelError: the weights or the checkpoint cannot be used.
        RunError: the run diverged, ran out of memory, or a loader died.
        MissingDependencyError: torch is not installed.

    >>> train("nanodet-m", data="data/bccd", epochs=50).report.metrics["AP50"]  # doctest: +SKIP
    """
    require_torch("training")
    started = time.perf_counter()
    # Whole paths, so that the run.yaml can be repeated from any folder.
    wishes = TrainWishes(
        data=None if data is None else str(Path(data).absolute()),
        data_format=data_format,
        weights=None if weights is None else str(Path(weights).absolute()),
        pretrained=pretrained,
        epochs=epochs,
        batch=asked_batch(batch, memory=memory),
        imgsz=imgsz,
        seed=seed,
        patience=patience,
        freeze=freeze,
        assignments=tuple(assignments),
    )
    folder = None if output is None else Path(output)
    if resume:
        plan, folder = resumed(str(run), folder, wishes)
    elif batch == "auto":
        request = ProbeRequest(run=str(run), wishes=wishes, device=device, workers=workers, threads=threads)
        plan = planned_within_memory(request, memory=memory)
    else:
        plan = planned(str(run), wishes)
    plan = on_this_machine(plan, device=device, workers=workers, threads=threads)
    with _out_of_memory_as_run_error(plan):
        return _train(plan, folder, name=name, resume=resume, overwrite=overwrite, started=started)


def _train(
    plan: Run, output: Path | None, *, name: str | None, resume: bool, overwrite: bool, started: float
) -> TrainOutcome:
    import torch

    from sanderling.commands.validate import Validator
    from sanderling.recipes.build import build_training
    from sanderling.recipes.feedback import with_feedback
    from sanderling.training.checkpoint import load_checkpoint
    from sanderling.training.loop import fit
    from sanderling.training.run_folder import RunFolder
    from sanderling.training.runtime import Runtime
    from sanderling.training.trackers import require_trackers

    require_trackers(plan.trackers)
    plan, train_set, val_set = with_data_sets(plan)
    with (
        Runtime(plan.runtime) as runtime,
        training_loader(
            plan, train_set, rank=runtime.rank, world=runtime.world, local_world=runtime.local_world
        ) as loader,
    ):
        if runtime.is_main and (left := len(train_set) - len(loader) * plan.batch) > 0:
            logger.info(
                "each epoch leaves out %d of %d pictures, others each time: they fill no batch", left, len(train_set)
            )
        goes_on = resume and output is not None and RunFolder(output).checkpoint.is_file()
        torch.manual_seed(plan.seed)
        training = build_training(
            plan, runtime, batches=len(loader), pictures=loader.epoch(0, mosaic=False), resumes=goes_on
        )
        batches = with_feedback(plan, training, loader, runtime)
        folder = _run_folder(plan, output, name=name, resume=resume, overwrite=overwrite, runtime=runtime)
        if goes_on:
            load_checkpoint(folder.checkpoint, training)
            if runtime.is_main:
                folder.write_history(training.progress.history)
        if resume:
            logger.info("%s: goes on after epoch %d", folder.path, training.progress.epoch)
        with contextlib.ExitStack() as watching:
            fit(
                training,
                batches,
                config=plan.loop,
                runtime=runtime,
                seed=plan.seed,
                validate=None if val_set is None else Validator(val_set, runtime),
                keep=lambda state, best: keep_epoch(state, folder, best=best, runtime=runtime),
                observers=_observers(plan, folder, watching) if runtime.is_main else (),
            )
        if runtime.is_main and training.progress.epoch < plan.loop.epochs:
            logger.info(
                "stopped after epoch %d of %d: no better AP since epoch %d",
                *(training.progress.epoch, plan.loop.epochs, training.progress.best_epoch),
            )
        unreadable = {path: why for share in runtime.gather(loader.unreadable) for path, why in share.items()}
        report = _finish(plan, training, folder, val_set=val_set, runtime=runtime, unreadable=unreadable)
    return TrainOutcome(
        folder=folder.path,
        weights=folder.best,
        report=report,
        epochs=training.progress.epoch,
        best_epoch=training.progress.best_epoch,
        seconds=time.perf_counter() - started,
        unreadable=unreadable,
    )


def training_loader(
    plan: Run, train_set: Dataset, *, rank: int = 0, world: int = 1, local_world: int = 1
) -> TrainingLoader:
    """The batches of a run, or the share of one of several processes (`world`, `local_world` of them here)."""
    from sanderling.data.loader import TrainingLoader

    return TrainingLoader(
        train_set,
        picture=plan.model.picture,
        augment=plan.augment,
        sampling=plan.sampling,
        batch=_share_of(plan.batch, world),
        seed=plan.seed,
        workers=plan.runtime.workers or 0,
        rank=rank,
        world=world,
        local_world=local_world,
        cache=plan.runtime.cache,
    )


def _observers(plan: Run, folder: RunFolder, stack: contextlib.ExitStack) -> list[Observer]:
    """Trackers and the display, closed when the stack unwinds."""
    from sanderling import config
    from sanderling.commands.train_display import train_display
    from sanderling.training.trackers import open_trackers

    trackers = open_trackers(plan.trackers, folder.path, run_name=folder.path.name, settings=config.plain(plan))
    observers: list[Observer] = [*trackers, train_display()]
    for observer in observers:
        stack.callback(observer.closed)
    return observers


def with_data_sets(plan: Run) -> tuple[Run, Dataset, Dataset | None]:
    """A run for the classes of its data sets, the one that teaches, and the one to validate on, if any.

    Raises:
        UsageError: no data set, no such split, or patience without validation.
        DataError: a data set cannot be read or has no boxes, or the two have other classes.
    """
    from sanderling.datasets.dataset import check_same_classes
    from sanderling.datasets.finding import summary
    from sanderling.datasets.locate import open_dataset

    if not plan.data.path:
        raise UsageError("no data set; name one with --data PATH")
    if plan.data.val is None and plan.loop.patience:
        raise UsageError(
            f"loop.patience = {plan.loop.patience}: without validation nobody knows when a run gets no better; "
            "name a split with --set data.val=NAME, or leave patience out"
        )
    path = Path(plan.data.path)
    train_set = open_dataset(path, split=plan.data.train, data_format=plan.data.data_format)
    val_set = None
    if plan.data.val is not None:
        try:
            val_set = open_dataset(path, split=plan.data.val, data_format=plan.data.data_format)
        except UsageError as error:
            raise UsageError(
                f"{error}; name the one to validate on with --set data.val=NAME, or train without: --set data.val=null"
            ) from None
        check_same_classes([train_set, val_set])
    _require_objects(path, train_set, val_set)
    for dataset in (train_set, *([] if val_set is None else [val_set])):
        if dataset.skipped:
            logger.warning("%s, split %s: %s", dataset.name, dataset.split, summary(dataset.skipped))
    model = plan.model.with_classes(train_set.class_names)
    return dataclasses.replace(plan, model=model), train_set, val_set


def _require_objects(path: Path, train_set: Dataset, val_set: Dataset | None) -> None:
    if not len(train_set.boxes_xyxy):
        raise DataError(
            f"{path}: the split {train_set.split!r} has {len(train_set)} pictures and 0 boxes; there is nothing to "
            "learn from. See what was left out with: sanderling data check"
        )
    if val_set is not None and not len(val_set.boxes_xyxy):
        raise DataError(
            f"{path}: the split {val_set.split!r} has {len(val_set)} pictures and 0 boxes; no epoch can be the best. "
            "Validate on another one with --set data.val=NAME, or not at all: --set data.val=null"
        )


def _run_folder(
    plan: Run, output: Path | None, *, name: str | None, resume: bool, overwrite: bool, runtime: Runtime
) -> RunFolder:
    """The run's folder with its `run.yaml`, the same in every process."""
    from sanderling import config
    from sanderling.training.run_folder import RunFolder, write_text

    path = output
    if runtime.is_main and not resume:
        try:
            path = output_folder("train", name or plan.model.name, output, overwrite)
        except UsageError as error:
            is_run = output is not None and RunFolder(output).run_file.is_file()
            raise UsageError(f"{error}, or go on with the run in it: --resume" if is_run else str(error)) from None
    folder = RunFolder(Path(runtime.gather(path)[0]))
    if runtime.is_main and not resume:
        folder.clear()
        write_text(folder.run_file, config.dump(plan))
    return folder


def keep_epoch(training: Training, folder: RunFolder, *, best: bool, runtime: Runtime) -> None:
    """Store the run after an epoch. The checkpoint comes last: what it names is then on the disk."""
    from sanderling.models.weights.safetensors_file import save_network
    from sanderling.training.checkpoint import save_checkpoint

    if not runtime.is_main:
        return
    record = training.progress.history[-1]
    if best or training.progress.best is None:
        extra = {"epoch": str(record["epoch"]), "metrics": json.dumps(record["metrics"])}
        save_network(training.shipped, folder.best, extra=extra)
    save_checkpoint(folder.checkpoint, training)
    folder.write_history(training.progress.history)


def _finish(
    plan: Run,
    training: Training,
    folder: RunFolder,
    *,
    val_set: Dataset | None,
    runtime: Runtime,
    unreadable: dict[str, str],
) -> Report | None:
    """Score the best weights once more, in full, write the report, and add what could not be read."""
    from sanderling.commands.report import write_history_report, write_run_report
    from sanderling.evaluation.detect import detect_all
    from sanderling.evaluation.evaluate import evaluate
    from sanderling.models.predictor import TorchDetector
    from sanderling.models.weights.safetensors_file import load_network
    from sanderling.training.run_folder import write_text

    if not runtime.is_main:
        return None
    history, facts = training.progress.history, _facts(plan, training)
    if val_set is None:
        title = f"{plan.model.name} on {plan.data.path}"
        write_history_report(folder.path, title=title, history=history, facts=facts, unreadable=unreadable)
        return None
    logger.info("measuring the best weights and writing the report")
    found = detect_all(TorchDetector(load_network(folder.best), device=runtime.device), val_set)
    unreadable.update(found.unreadable)
    report = dataclasses.replace(
        evaluate(val_set, found.detections), model=str(folder.best), data=f"{val_set.name}, {val_set.split}"
    )
    write_text(folder.report, report.to_json() + "\n")
    write_run_report(
        folder.path,
        title=f"{plan.model.name} on {val_set.name}",
        history=history,
        dataset=val_set,
        detections=found.detections,
        report=report,
        facts=facts,
        unreadable=unreadable,
    )
    return report


def _facts(plan: Run, training: Training) -> dict[str, str]:
    height, width = plan.model.picture.size_hw
    progress = training.progress
    best = f", the best was {progress.best_epoch}" if progress.best_epoch else ""
    return {
        "model": plan.model.name,
        "parameters": f"{sum(parameter.numel() for parameter in training.task.network.parameters()):,}",
        "input": f"{height} x {width} ({plan.model.picture.resize})",
        "recipe": plan.recipe,
        "data": f"{plan.data.path} (train: {plan.data.train}, val: {plan.data.val})",
        "started from": plan.weights or plan.pretrained or "freshly drawn weights",
        "epochs": f"{progress.epoch} of {plan.loop.epochs}{best}",
        "batch": str(plan.batch),
        "optimiser": f"{plan.optimizer.kind}, learning rate {plan.optimizer.lr:.3g}",
        "seed": str(plan.seed),
        "device": f"{plan.runtime.device}, {plan.runtime.threads} threads, {plan.runtime.precision}",
        "training time": f"{sum(record['time_s'] for record in progress.history) / 60:.1f} min without validation",
    }


def _share_of(batch: int, world: int) -> int:
    if batch % world:
        raise UsageError(f"batch = {batch}: does not divide by {world} processes; use {-(-batch // world) * world}")
    return batch // world


@contextlib.contextmanager
def _out_of_memory_as_run_error(plan: Run) -> Iterator[None]:
    import torch

    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else "no memory left"
    except RuntimeError as error:
        # On the processor torch raises a plain RuntimeError.
        if "can't allocate memory" not in str(error):
            raise
        reason = str(error).splitlines()[0]
    else:
        return
    half = max(1, plan.batch // 2)
    raise RunError(f"out of memory at batch {plan.batch}: {reason}; lower --batch (for example {half}) or --imgsz")
