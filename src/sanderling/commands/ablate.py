"""`ablate`: what each switch is worth on one's own data, trained and measured."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling import config
from sanderling.commands.folders import output_folder
from sanderling.commands.open_detector import require_torch
from sanderling.commands.train_plan import TrainWishes, planned
from sanderling.errors import SanderlingError, UsageError

if TYPE_CHECKING:
    from sanderling.analysis.cost import Cost
    from sanderling.recipes.run import Run
    from sanderling.reporting.tables import Table
    from sanderling.studies.ablation import Ablation
    from sanderling.studies.machines import Job, Machines, Trained
    from sanderling.studies.series import Results, Series
    from sanderling.studies.summary import Latency
    from sanderling.training.runtime import RuntimeConfig

logger = logging.getLogger(__name__)

_ROUNDS = 50
_STUDY = "ablation.json"
_INPUTS = "inputs.json"
"""In a run's folder: digests of the files that it began with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AblationOutcome:
    """What an ablation gave.

    Attributes:
        folder: with a folder for every run, and `ablation.json`, `.md`, `.csv`, `.png` and `.html`; None after a dry
            run.
        table: the rows for people; of a dry run, the steps.
        plain: the content of `ablation.json`, or of the plan.
        failed: runs that failed, each with its reason.
    """

    folder: Path | None
    table: Table
    plain: dict[str, Any]
    failed: tuple[str, ...]


def ablate(
    run: str | Path | None = None,
    *,
    data: str | Path,
    data_format: str | None = None,
    switches: Sequence[str] = (),
    ladder: str | None = None,
    rows: Sequence[str] = (),
    mode: str = "ladder",
    seeds: int = 3,
    epochs: int | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    imgsz: int | Sequence[int] | None = None,
    device: str | None = None,
    workers: int | None = None,
    threads: int | None = None,
    assignments: Sequence[str] = (),
    ray: bool = False,
    latency: bool = True,
    dry_run: bool = False,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> AblationOutcome:
    """Train a baseline and steps that each switch something on, with several seeds, and compare them.

    A step that changes nothing but the post-processing is not trained: it is measured with the weights of the step it
    stands on. A study that was stopped goes on when it is started again on the same folder; so does one that gets
    further steps or seeds.

    Args:
        run: the baseline: a model's name, a recipe's name or a `run.yaml`; by default the one the ladder begins with.
        data: the data set.
        data_format: coco, yolo or voc, where a folder holds several.
        switches: one text per step: names of switches or `key=value`, joined by commas.
        ladder: a published ladder, whose steps come before `switches`: `ppyolo`.
        rows: letters of its rows that are measured, each with all switches up to it; all without.
        mode: `ladder`, each step on top of the one before; `single`, each alone on top of the baseline.
        seeds: trainings of each step, from the baseline's own seed on.
        epochs: of the baseline; the schedule follows.
        minutes: instead of epochs: wall time of a training, start and five validations included. Each step is timed
            first and gets as many epochs as fit, or as many as the step that it is compared with where the timings are
            near; one with twice the schedule gets twice the epochs. This study keeps them, another may get others.
        batch: pictures of a batch of the baseline; a recipe's learning rate follows.
        imgsz: side of the network input, or height and width.
        device: `cpu`, `cuda`, `cuda:1`.
        workers: processes that load pictures.
        threads: threads on the processor.
        assignments: `key=value` for any other value of the baseline.
        ray: train many at once, on the machines of a Ray cluster or on this one's processors. A training takes as many
            processors as it has threads and loaders (one without `threads` and `workers`), and a GPU where `device` is
            `cuda`, or where this machine has one and `device` says nothing. All machines need the data set and `output`
            under the same path.
        latency: measure the exported networks of all steps in turns, at the end.
        dry_run: check everything, tell the steps and stop.
        output: the study's folder, the same one to go on; `runs/ablate/NAME` by default.
        overwrite: train again what was trained otherwise in `output`; equal runs are kept.

    Raises:
        UsageError: an unknown name, key or value, a switch that does not apply, a result of another run, or no time for
            one epoch.
        DataError: the data set cannot be read.
        ModelError: a step's network cannot be built, or the weights that it starts from do not fit.
        RunError: Ray does not start.
        MissingDependencyError: torch, or Ray where it is asked for, is not installed.

    >>> ablate("nanodet-m", data="birds/", switches=["mixup", "crop"], mode="single").failed  # doctest: +SKIP
    ()
    """
    require_torch("an ablation")
    from sanderling.studies.ablation import plan_ablation
    from sanderling.studies.ladders import ladder as published
    from sanderling.studies.plan import plan_plain, plan_table
    from sanderling.studies.summary import costs_of

    if epochs is not None and minutes is not None:
        raise UsageError(f"epochs = {epochs} and minutes = {minutes:g}: give one of the two")
    chosen = None if ladder is None else published(ladder)
    if rows and (chosen is None or mode != "ladder"):
        raise UsageError(f"rows = {','.join(rows)}: are those of a ladder, each on top of the last; name it: --ladder")
    if run is None and chosen is None:
        raise UsageError("no RUN is named; name a model, a recipe or a run.yaml, or a published ladder with --ladder")
    if ray:
        # What is left to a machine takes all of it, and others are to train beside this one.
        threads, workers = threads or 1, workers or 0
    wishes = TrainWishes(
        data=str(Path(data).absolute()),
        data_format=data_format,
        epochs=epochs,
        batch=batch,
        imgsz=imgsz,
        assignments=(
            *config.assigned({"runtime.device": device, "runtime.workers": workers, "runtime.threads": threads}),
            *assignments,
        ),
    )
    baseline = _for_classes(planned(str(run) if run is not None or chosen is None else chosen.run, wishes))
    steps = [*(chosen.steps if chosen is not None else ()), *switches]
    if chosen is not None and rows:
        steps = chosen.joined(steps, rows)
    ablation = plan_ablation(baseline, steps, mode=mode, seeds=seeds, minutes=minutes)
    machines, costs = _machines(baseline, ray=ray), costs_of(ablation)
    _check_weights(ablation)
    if dry_run:
        return AblationOutcome(folder=None, table=plan_table(ablation), plain=plan_plain(ablation), failed=())
    folder = _folder(baseline.model.name, None if output is None else Path(output).absolute(), overwrite)
    return _measured(ablation, folder, costs=costs, machines=machines, latency=latency, overwrite=overwrite)


def _measured(
    ablation: Ablation, folder: Path, *, costs: Sequence[Cost], machines: Machines, latency: bool, overwrite: bool
) -> AblationOutcome:
    """Train and measure what is not done yet, and write tables and page."""
    from sanderling.studies.ablation_report import ablation_plain, write_report, write_tables
    from sanderling.studies.inputs import Inputs
    from sanderling.studies.series import Series
    from sanderling.studies.summary import ablation_table, summarise

    series = Series(
        ablation=ablation, folder=folder, work=work, machines=machines, inputs=Inputs().of, overwrite=overwrite
    )
    if not (folder / _STUDY).is_file():
        # By this file the folder is known as a study that may be gone on with, also where it stops while it is timed.
        write_tables(folder, ablation, summarise(ablation, {}, costs), {})
    logger.info("%s: %d steps, seeds %s", folder, len(ablation.steps), ", ".join(map(str, ablation.seeds)))
    results = series.run(
        lambda so_far: write_tables(folder, ablation, summarise(ablation, so_far, costs), so_far),
    )
    rows = summarise(ablation, results, costs)
    # Whatever becomes of the latencies, the page is there.
    write_report(folder, ablation, rows, results, _facts(ablation, latency=False))
    if latency and (latencies := _latencies(series, results)):
        rows = summarise(ablation, results, costs, latencies)
        write_report(folder, ablation, rows, results, _facts(ablation, latency=True))
    write_tables(folder, ablation, rows, results)
    return AblationOutcome(
        folder=folder,
        table=ablation_table(ablation, rows),
        plain=ablation_plain(ablation, rows, results),
        failed=tuple(f"{row.name}: {error}" for row in rows for error in row.errors),
    )


def list_switches() -> list[dict[str, str]]:
    """The switches that have a name, each with `name` and `help`, and what may stand in their place.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    require_torch("listing switches")
    from sanderling.studies.switches import listed

    return [{"name": name, "help": text} for name, text in listed()]


def work(job: Job) -> Trained:
    """Train a job, going on where it was stopped, or evaluate it with the weights of another run.

    Raises:
        SanderlingError: what `train` or `val` may raise.
    """
    from sanderling.commands.train import train
    from sanderling.studies.machines import Trained
    from sanderling.studies.results import write_json, write_whole
    from sanderling.training.run_folder import RunFolder

    if job.weights_from is not None:
        return _evaluate(job, job.weights_from)
    if not job.anew and _half_done(job):
        outcome = train(job.folder, resume=True)
    else:
        # In this order: what lies there is never taken for half of a training with these files.
        RunFolder(job.folder).clear()
        write_json(job.folder / _INPUTS, dict(job.inputs))
        file = job.folder.with_name(f"{job.folder.name}.yaml")
        write_whole(file, config.dump(job.run))
        outcome = train(file, output=job.folder, overwrite=True)
    history = (outcome.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert outcome.report is not None, "an ablation always validates"
    return Trained(metrics=outcome.report.metrics, epoch_s=tuple(float(json.loads(line)["time_s"]) for line in history))


def _evaluate(job: Job, source: Path) -> Trained:
    """The same weights under another rule, kept as a run folder of its own."""
    from sanderling.commands.open_detector import find_weights, open_detector
    from sanderling.commands.val import open_split, val_with
    from sanderling.models.weights.safetensors_file import load_network, save_network
    from sanderling.studies.machines import Trained
    from sanderling.studies.results import write_whole

    network = load_network(find_weights(source))
    network.config = dataclasses.replace(network.config, postprocess=job.run.model.postprocess)
    save_network(network, job.folder / "weights" / "best.safetensors")
    write_whole(job.folder / "run.yaml", config.dump(job.run))
    data = job.run.data
    dataset = open_split(data.path, split=data.val, data_format=data.data_format)
    device = None if job.run.runtime.device == "auto" else job.run.runtime.device
    detector = open_detector(job.folder, device=device, threads=job.run.runtime.threads)
    return Trained(metrics=val_with(detector, dataset, model=str(job.folder)).metrics)


def _half_done(job: Job) -> bool:
    """Whether the folder holds an unfinished training of the same run on the same files."""
    from sanderling.recipes.run import read_run
    from sanderling.training.run_folder import RunFolder

    folder, inputs = RunFolder(job.folder), job.folder / _INPUTS
    if not all(file.is_file() for file in (folder.run_file, folder.checkpoint, inputs)):
        return False
    try:
        begun = read_run(folder.run_file)
        runtime = _decided_as(begun.runtime, job.run.runtime)
    except UsageError:
        # A damaged record, or a device that is not on this machine.
        return False
    same_files = json.loads(inputs.read_text(encoding="utf-8")) == job.inputs
    return same_files and dataclasses.replace(job.run, runtime=runtime) == begun


def _decided_as(begun: RuntimeConfig, asked: RuntimeConfig) -> RuntimeConfig:
    """What is asked of the machine, with what is automatic as it was decided when the training began."""
    automatic = {
        name: getattr(begun, name)
        for name in ("device", "threads", "workers", "precision")
        if getattr(asked, name) in ("auto", None)
    }
    return dataclasses.replace(asked, **automatic).resolved()


def _for_classes(plan: Run) -> Run:
    """The run for its data set's classes, without trackers; the data set is read once, before anything is trained."""
    from sanderling.datasets.locate import open_dataset

    if plan.data.val is None:
        raise UsageError("data.val is null: an ablation compares what is validated; name a split: --set data.val=NAME")
    train_set = open_dataset(Path(plan.data.path), split=plan.data.train, data_format=plan.data.data_format)
    open_dataset(Path(plan.data.path), split=plan.data.val, data_format=plan.data.data_format)
    return dataclasses.replace(plan, model=plan.model.with_classes(train_set.class_names), trackers=())


def _check_weights(ablation: Ablation) -> None:
    """Refuse weights that do not fit before hours are spent on other steps."""
    from sanderling.models.weights.start import start_from

    for step in {(step.run.weights, step.run.model): step for step in reversed(ablation.steps)}.values():
        if step.run.weights is not None:
            report = start_from(step.run.model.build(), Path(step.run.weights))
            logger.info("%s: %s: %s", step.name, step.run.weights, report)


def _machines(baseline: Run, *, ray: bool) -> Machines:
    from sanderling.studies.machines import on_ray, one_process

    if not ray:
        return one_process
    runtime = baseline.runtime
    if runtime.device not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f"device = {runtime.device!r}: Ray chooses the GPU of each training, which is the only one it sees; use "
            "cuda, or cpu"
        )
    # Ray hides all GPUs from a task that does not ask for one.
    on_gpu = runtime.device == "cuda" or (runtime.device == "auto" and runtime.resolved().device == "cuda")
    return on_ray(cpus=(runtime.threads or 1) + (runtime.workers or 0), gpus=int(on_gpu))


def _folder(name: str, output: Path | None, overwrite: bool) -> Path:
    """The study's folder; one that holds a study is gone on with."""
    going_on = output is not None and (output / _STUDY).is_file()
    return output_folder("ablate", name, output, overwrite or going_on).absolute()


def _latencies(series: Series, results: Results) -> Mapping[int, Latency]:
    """Of every step that has weights; steps with equal networks share one figure. All take turns, a picture each."""
    from sanderling.commands.bench import bench
    from sanderling.commands.export import export
    from sanderling.studies.series import Place
    from sanderling.studies.summary import Latency

    steps = series.ablation.steps
    artefacts: dict[int, Path] = {}
    first_of: dict[int, int] = {}
    for place, step in enumerate(steps):
        alike = next((other for other in artefacts if steps[other].run.model == step.run.model), None)
        if alike is not None:
            first_of[place] = alike
            continue
        finished = (Place(place, seed) for seed in series.ablation.seeds)
        found = next((key for key in finished if key in results and results[key].error is None), None)
        if found is None:
            continue
        try:
            artefacts[place] = export(
                series.folder_of(found), output=series.folder / "exported" / f"{step.file_name}.onnx", threads=1
            ).path
            first_of[place] = place
        except SanderlingError as error:
            logger.warning("%s: no latency: %s", step.name, error)
    if not artefacts:
        return {}
    try:
        measured = bench(list(artefacts.values()), threads=1, rounds=_ROUNDS, memory=False)
    except SanderlingError as error:
        logger.warning("no latencies: %s", error)
        return {}
    timings = {place: result.timings for place, result in zip(artefacts, measured, strict=True)}
    return {
        place: Latency(
            network_ms=timings[first]["network"].median_ms, end_to_end_ms=timings[first]["end_to_end"].median_ms
        )
        for place, first in first_of.items()
    }


def _facts(ablation: Ablation, *, latency: bool) -> dict[str, str]:
    from sanderling.benchmark.machine import this_machine

    baseline = ablation.steps[0].run
    height, width = baseline.model.picture.size_hw
    machine = this_machine()
    minutes = ablation.minutes
    length = f"{baseline.loop.epochs} epochs" if minutes is None else f"epochs for {minutes:g} minutes, see the note"
    return {
        "baseline": f"{baseline.model.name}, recipe {baseline.recipe}",
        "data": f"{baseline.data.path} (train: {baseline.data.train}, val: {baseline.data.val})",
        "input": f"{height} x {width} ({baseline.model.picture.resize})",
        "training": length,
        "steps": "each on top of the one before" if ablation.mode == "ladder" else "each alone on the baseline",
        "seeds": ", ".join(map(str, ablation.seeds)),
        "latency": f"exported to ONNX, one thread, {_ROUNDS} rounds in turns, median" if latency else "not measured",
        "machine": f"{machine.cpu}, {machine.cores} cores",
    }
