"""`weights distill`: pictures without labels and a teacher in, the weights of a detector's backbone out."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.commands.folders import output_folder
from sanderling.commands.open_detector import picture_rule, require_torch
from sanderling.commands.train_plan import TrainWishes, planned
from sanderling.errors import UsageError

if TYPE_CHECKING:
    from sanderling.compression.agreement import Agreement
    from sanderling.compression.backbone_distillation import BackboneDistillation
    from sanderling.compression.distillation_run import DistillationRun
    from sanderling.compression.teacher import Teacher
    from sanderling.data.loader import TrainingLoader
    from sanderling.datasets.dataset import Dataset
    from sanderling.models.network import DetectorConfig
    from sanderling.training.loop import Training
    from sanderling.training.run_folder import RunFolder
    from sanderling.training.runtime import Runtime

logger = logging.getLogger(__name__)

_NO_BOXES, _UNTAUGHT = "there are no boxes", "nothing but the backbone learns or is kept"
_IDLE: Mapping[str, str] = {
    "augment.activation_cutout": _NO_BOXES,
    "augment.crop": _NO_BOXES,
    "augment.min_side": _NO_BOXES,
    "augment.min_visible": _NO_BOXES,
    "augment.stitcher": _NO_BOXES,
    "loop.patience": "nothing is measured before the end",
    "loop.validate_every": "nothing is measured before the end",
    "model.auxiliary": _UNTAUGHT,
    "model.class_names": _UNTAUGHT,
    "model.head": _UNTAUGHT,
    "model.neck": _UNTAUGHT,
    "model.postprocess": _UNTAUGHT,
    "runtime.sync_batchnorm": "it runs in one process",
}
"""Settings of a run that a distillation has no use for, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DistillOutcome:
    """What a distillation gave.

    Attributes:
        weights: the backbone's file.
        folder: of the run, with its `run.yaml`, its epochs and the state that it is resumed from.
        pictures: learnt from.
        epochs: finished.
        agreement: with the teacher on the pictures held back, None where none were.
        seconds: of this call.
        unreadable: pictures that could not be decoded, with the reason.
    """

    weights: Path
    folder: Path
    pictures: int
    epochs: int
    agreement: Agreement | None
    seconds: float
    unreadable: dict[str, str]

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "weights": str(self.weights),
            "folder": str(self.folder),
            "pictures": self.pictures,
            "epochs": self.epochs,
            "agreement": None if self.agreement is None else dataclasses.asdict(self.agreement),
            "seconds": round(self.seconds, 2),
            "unreadable": dict(self.unreadable),
        }


def distill_backbone(
    model: str | Path | DetectorConfig,
    *,
    pictures: Sequence[str | Path],
    output: str | Path,
    switches: Sequence[str] = (),
    teacher: str | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    imgsz: int | Sequence[int] | None = None,
    batch: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    workers: int | None = None,
    threads: int | None = None,
    assignments: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> DistillOutcome:
    """Teach a detector's backbone to answer as a stronger classifier does, on pictures without labels.

    Args:
        model: whose backbone it is: a name of the zoo or of a recipe, a `run.yaml` or run folder of a training, or a
            configuration.
        pictures: data sets (their split `train`), pictures, folders that hold any of them at any depth.
        output: the backbone's file, `*.safetensors`; the run's folder stands beside it under the same name.
        switches: what is changed about the backbone before: steps of `ablate`, such as `resnet-dcn`.
        teacher: `efficientnet-lite0`, `-lite1`, `-lite2` (packages of weights; the last is the default), or a model of
            timm.
        epochs: of the whole distillation.
        minutes: as many epochs as fit into this time, told by timing a few steps; they are fixed before it begins.
        imgsz: side of the pictures that both see, or height and width; rounded up to the stride.
        batch: pictures of a batch.
        seed: of everything that is drawn.
        device: `cpu`, `cuda`, `cuda:1`.
        workers: processes that load pictures.
        threads: threads on the processor.
        assignments: `key=value` for any other value of the run.
        resume: go on with the run in the folder beside `output`; model and switches have to be repeated, other settings
            may be, and none is changed.
        overwrite: replace the file and the run of another distillation.

    Raises:
        UsageError: an unknown name, key or value, a setting or switch that would do nothing, teacher and backbone are
            the same network, `output` is taken, or not one epoch fits into `minutes`.
        DataError: no picture.
        ModelError: the teacher's weights, or the run's state, cannot be used.
        RunError: the run diverged, or a loader died.
        MissingDependencyError: torch, or the package of the teacher's weights, is not installed.

    >>> distill_backbone("ppyolo-debug", pictures=["birds/"], output="backbone.safetensors")  # doctest: +SKIP
    """
    require_torch("distillation")
    from sanderling import config

    started = time.perf_counter()
    output = Path(output)
    _check_wishes(output, epochs=epochs, minutes=minutes, assignments=assignments)
    stored = _stored(output) if resume else None
    wishes = {
        "teacher": teacher,
        "pictures": [str(Path(path).absolute()) for path in pictures],
        "minutes": minutes,
        "loop.epochs": epochs,
        "batch": batch,
        "seed": seed,
        "runtime.device": device,
        "runtime.workers": workers,
        "runtime.threads": threads,
    }
    asked = _planned(_detector(model, switches), stored, imgsz=imgsz)
    plan = config.override(asked, [*config.assigned(wishes), *assignments])
    plan = dataclasses.replace(plan, runtime=plan.runtime.resolved())
    if stored is not None:
        _check_unchanged(stored, plan, output)
    _check_pair(plan)
    return _distill(plan, output, resume=resume, overwrite=overwrite, started=started)


def _distill(plan: DistillationRun, output: Path, *, resume: bool, overwrite: bool, started: float) -> DistillOutcome:
    from sanderling.commands.train_display import train_display
    from sanderling.compression.agreement import measure_agreement
    from sanderling.compression.distillation_run import build_distillation
    from sanderling.data.augment import AugmentConfig
    from sanderling.training.checkpoint import load_checkpoint
    from sanderling.training.loop import fit
    from sanderling.training.run_folder import RunFolder
    from sanderling.training.runtime import Runtime

    if not resume:
        _expect_free(output, overwrite=overwrite)
    learnt, held_back = _pictures(plan)
    # What is held back is seen once.
    once = dataclasses.replace(plan.runtime, cache=None)
    whole = dataclasses.replace(plan, augment=AugmentConfig.none(), runtime=once)
    with (
        Runtime(plan.runtime) as runtime,
        _loader(plan, learnt) as loader,
        contextlib.ExitStack() as opened,
    ):
        teacher = _teacher(plan, runtime)
        if not resume and plan.minutes is not None:
            after = -(-len(held_back) // plan.batch)
            plan = _for_minutes(plan, teacher, loader, runtime, batches_after=after, started=started)
        folder = RunFolder(output.with_suffix("")) if resume else _new_folder(plan, output)
        task, training = build_distillation(plan, teacher, runtime, batches=len(loader))
        if resume and folder.checkpoint.is_file():
            load_checkpoint(folder.checkpoint, training)
            logger.info("%s: goes on after epoch %d", folder.path, training.progress.epoch)
        display = train_display()
        opened.callback(display.closed)
        fit(
            training,
            loader,
            config=plan.loop,
            runtime=runtime,
            seed=plan.seed,
            validate=None,
            keep=lambda state, _: _keep(state, folder),
            observers=[display],
        )
        unreadable = dict(loader.unreadable)
        agreement = None
        if len(held_back):
            measured = opened.enter_context(_loader(whole, held_back, drop_last=False))
            agreement = measure_agreement(task, measured.epoch(0, mosaic=False), runtime)
            unreadable |= measured.unreadable
    _save(task, output, plan=plan, pictures=len(learnt), agreement=agreement)
    return DistillOutcome(
        weights=output,
        folder=folder.path,
        pictures=len(learnt),
        epochs=training.progress.epoch,
        agreement=agreement,
        seconds=time.perf_counter() - started,
        unreadable=unreadable,
    )


def _check_wishes(output: Path, *, epochs: int | None, minutes: float | None, assignments: Sequence[str]) -> None:
    if output.suffix != ".safetensors":
        raise UsageError(f"output = {str(output)!r}: a file name that ends in .safetensors is expected")
    set_apart = {key.strip(): value for key, _, value in (text.partition("=") for text in assignments)}
    length = {"epochs": set_apart.get("loop.epochs", epochs), "minutes": set_apart.get("minutes", minutes)}
    if None not in length.values():
        raise UsageError(f"epochs = {length['epochs']} and minutes = {length['minutes']}: give one of the two")
    if minutes is not None and not 0 < minutes < math.inf:
        raise UsageError(f"minutes = {minutes:g}: a number above 0 is expected")
    for key, value in set_apart.items():
        why = next((why for idle, why in _IDLE.items() if f"{key}.".startswith(f"{idle}.")), None)
        if why is not None:
            raise UsageError(f"--set {key}={value}: does nothing in a distillation: {why}; leave it out")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("distillation runs in one process; start it without torchrun")


def _stored(output: Path) -> DistillationRun:
    """The run in the folder beside a backbone's file."""
    from sanderling import config
    from sanderling.compression.distillation_run import DistillationRun
    from sanderling.training.run_folder import RunFolder

    file = RunFolder(output.with_suffix("")).run_file
    if not file.is_file():
        raise UsageError(f"{file.parent}: holds no run.yaml; name the --output of the run to resume")
    return config.load(DistillationRun, file)


def _detector(model: str | Path | DetectorConfig, switches: Sequence[str]) -> DetectorConfig:
    """The detector whose backbone is wanted, with switches on as in an ablation of its run."""
    from sanderling.models.network import DetectorConfig
    from sanderling.recipes.fine_tune import fine_tune
    from sanderling.studies.switches import apply_switches, parts

    run = fine_tune(model) if isinstance(model, DetectorConfig) else planned(str(model), TrainWishes())
    for text in (part for several in switches for part in parts(several)):
        before, run = run, apply_switches(run, text)
        if run.model.backbone == before.model.backbone:
            raise UsageError(f"switch {text!r}: leaves the backbone as it is, and {_UNTAUGHT}; leave it out")
    return run.model


def _planned(
    detector: DetectorConfig, stored: DistillationRun | None, *, imgsz: int | Sequence[int] | None
) -> DistillationRun:
    """The run with its defaults, or as it was stored, for a detector and a size."""
    from sanderling.compression.distillation_run import SIZE, DistillationRun

    if stored is not None and imgsz is None:
        return dataclasses.replace(stored, model=dataclasses.replace(detector, picture=stored.model.picture))
    size = SIZE if imgsz is None else imgsz
    rule = picture_rule(detector.picture, imgsz=size, resize=None, stride=detector.build().stride)
    return dataclasses.replace(
        stored or DistillationRun(model=detector), model=dataclasses.replace(detector, picture=rule)
    )


def _check_unchanged(stored: DistillationRun, asked: DistillationRun, output: Path) -> None:
    """A resumed run goes on as it was started, if on other hardware; the command that started it may be repeated."""
    from sanderling import config

    there = dataclasses.replace(stored, runtime=asked.runtime)
    for key, ours, theirs in config.differences(config.plain(there), config.plain(asked)):
        raise UsageError(
            f"{output.with_suffix('')}: a resumed run goes on as its run.yaml says; {key} is {ours!r} there and "
            f"{theirs!r} is asked for"
        )


def _check_pair(plan: DistillationRun) -> None:
    """Refuse a teacher that is the student: its own weights are better than what is learnt from them."""
    from sanderling.compression.teacher import teacher_source
    from sanderling.models.weights.imagenet import imagenet_source

    teacher, student = teacher_source(plan.teacher), imagenet_source(plan.model.backbone)
    if student is not None and student.name == teacher.name:
        raise UsageError(
            f"teacher = {plan.teacher!r}: is the backbone of {plan.model.name} itself; choose a stronger teacher, or "
            f"start from its own weights: sanderling train {plan.model.name} --pretrained imagenet"
        )


def _pictures(plan: DistillationRun) -> tuple[Dataset, Dataset]:
    """What is learnt from and what is held back."""
    from sanderling.datasets.finding import summary
    from sanderling.datasets.unlabelled import hold_back, open_unlabelled

    dataset = open_unlabelled([Path(path) for path in plan.pictures])
    if dataset.skipped:
        logger.warning("%s: %s", dataset.name, summary(dataset.skipped))
    learnt, held_back = hold_back(dataset, share=plan.held_back, seed=plan.seed)
    logger.info("%d pictures to learn from, %d held back to measure on", len(learnt), len(held_back))
    return learnt, held_back


def _loader(plan: DistillationRun, dataset: Dataset, *, drop_last: bool = True) -> TrainingLoader:
    from sanderling.data.loader import TrainingLoader

    return TrainingLoader(
        dataset,
        picture=plan.model.picture,
        augment=plan.augment,
        batch=plan.batch,
        seed=plan.seed,
        workers=plan.runtime.workers or 0,
        drop_last=drop_last,
        cache=plan.runtime.cache,
    )


def _teacher(plan: DistillationRun, runtime: Runtime) -> Teacher:
    from sanderling.compression.teacher import open_teacher

    return open_teacher(
        plan.teacher,
        size_hw=plan.model.picture.size_hw,
        device=runtime.device,
        channels_last=plan.runtime.channels_last,
    )


def _for_minutes(
    plan: DistillationRun,
    teacher: Teacher,
    loader: TrainingLoader,
    runtime: Runtime,
    *,
    batches_after: int,
    started: float,
) -> DistillationRun:
    """The run with as many epochs as fit into its minutes."""
    from sanderling.compression.distillation_run import build_distillation
    from sanderling.training.epochs_in_minutes import epochs_in, seconds_per_batch

    assert plan.minutes is not None
    _, trial = build_distillation(plan, teacher, runtime, batches=len(loader))
    batch_s = seconds_per_batch(trial, loader, runtime, seed=plan.seed)
    around_s = time.perf_counter() - started + batch_s * batches_after
    epochs = epochs_in(plan.minutes, around_s=around_s, epoch_s=batch_s * len(loader))
    logger.info("%d epochs fit into %g minutes: a batch takes %.2f s", epochs, plan.minutes, batch_s)
    return dataclasses.replace(plan, loop=dataclasses.replace(plan.loop, epochs=epochs))


def _expect_free(output: Path, *, overwrite: bool) -> None:
    """Check that the file and the folder beside it, which nobody has named, may be written; nothing is touched."""
    from sanderling import config
    from sanderling.compression.distillation_run import DistillationRun
    from sanderling.training.run_folder import RunFolder

    if output.exists() and not overwrite:
        raise UsageError(f"output {output}: exists; name another file, or replace it: --overwrite")
    folder = RunFolder(output.with_suffix(""))
    if not folder.path.exists() or (folder.path.is_dir() and not any(folder.path.iterdir())):
        return
    try:
        config.load(DistillationRun, folder.run_file)
    except UsageError:
        raise UsageError(
            f"output {output}: its run would be written into {folder.path}, which holds something else; name another "
            "file"
        ) from None
    if not overwrite:
        raise UsageError(
            f"{folder.path}: holds a run already; name another file, replace it: --overwrite, or go on with it: "
            "--resume"
        )


def _new_folder(plan: DistillationRun, output: Path) -> RunFolder:
    """The folder of a run that begins, with its `run.yaml` and nothing of an earlier one."""
    from sanderling import config
    from sanderling.training.run_folder import RunFolder, write_text

    path = output.with_suffix("")
    folder = RunFolder(output_folder("distill", path.name, path, overwrite=True))
    folder.clear()
    write_text(folder.run_file, config.dump(plan))
    return folder


def _keep(training: Training, folder: RunFolder) -> None:
    """Store the run after an epoch."""
    from sanderling.training.checkpoint import save_checkpoint

    save_checkpoint(folder.checkpoint, training)
    folder.write_history(training.progress.history)


def _save(
    task: BackboneDistillation, output: Path, *, plan: DistillationRun, pictures: int, agreement: Agreement | None
) -> None:
    from sanderling.compression.backbone_file import save_backbone

    origin = {
        "method": "distillation, Jensen-Shannon divergence, no labels",
        "teacher": plan.teacher,
        "pictures": pictures,
        "epochs": plan.loop.epochs,
        "batch": plan.batch,
        "size_hw": list(plan.model.picture.size_hw),
        "seed": plan.seed,
        "agreement": None if agreement is None else dataclasses.asdict(agreement),
    }
    save_backbone(task.network, output, origin=origin)
