"""Which run a user means: a name or file, then options, then `key=value`, then what this machine decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.commands.open_detector import picture_rule
from sanderling.errors import UsageError

if TYPE_CHECKING:
    from sanderling.recipes.run import Run

_RUN_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainWishes:
    """What was asked for beside the run; None leaves the run's own value. Each is explained at `train`."""

    data: str | None = None
    data_format: str | None = None
    weights: str | None = None
    pretrained: str | None = None
    epochs: int | None = None
    batch: int | None = None
    imgsz: int | Sequence[int] | None = None
    seed: int | None = None
    patience: int | None = None
    freeze: str | int | None = None
    assignments: tuple[str, ...] = ()


def asked_batch(batch: int | str | None, *, memory: str | None) -> int | None:
    """The number that was asked for; None for the recipe's own, and for `auto`.

    Raises:
        UsageError: another word, or a budget without `auto`.
    """
    if isinstance(batch, str) and batch != "auto":
        raise UsageError(f"batch = {batch!r}: a number or auto is expected")
    if memory is not None and batch != "auto":
        raise UsageError(f"memory = {memory!r}: is the budget of --batch auto; add that, or leave --memory out")
    return batch if isinstance(batch, int) else None


def planned(run: str, wishes: TrainWishes) -> Run:
    """The run that a name, a `run.yaml` or a run's folder stands for, with the wishes in it.

    Raises:
        UsageError: an unknown name or key, or a value that does not fit.
    """
    from sanderling.recipes.named import named, names
    from sanderling.recipes.run import read_run

    path = Path(run)
    if run not in names() and (path.suffix in _RUN_SUFFIXES or path.is_dir()):
        plan = read_run(path / "run.yaml" if path.is_dir() else path)
        assignments = _assigned(loop__epochs=wishes.epochs, batch=wishes.batch)
    else:
        # A recipe's learning rate and schedule follow these.
        given = any(text.startswith(("weights=", "pretrained=")) for text in wishes.assignments)
        from_scratch = wishes.weights is None and wishes.pretrained is None and not given
        plan = named(run, batch=wishes.batch, epochs=wishes.epochs, from_scratch=from_scratch)
        assignments = []
    return _with_wishes(plan, wishes, assignments)


def with_batch(plan: Run, run: str, wishes: TrainWishes, *, batch: int, accumulate: int) -> Run:
    """A planned run with another batch, some of which make a step together; its learning rate follows the step.

    A recipe decides how; what a `run.yaml` holds changes as its optimiser wants it. A rate that was asked for stays.

    Args:
        plan: what `planned` made of the next two.
        run: the name or file.
        wishes: without a batch.
        batch: pictures of a batch.
        accumulate: batches of a step.
    """
    from sanderling.recipes.named import names

    step = batch * accumulate
    if run in names():
        plan = planned(run, dataclasses.replace(wishes, batch=step))
    elif not any(text.partition("=")[0].strip() == "optimizer.lr" for text in wishes.assignments):
        grown = step / (plan.batch * plan.loop.accumulate)
        plan = dataclasses.replace(plan, optimizer=plan.optimizer.for_steps(grown))
    return dataclasses.replace(plan, batch=batch, loop=dataclasses.replace(plan.loop, accumulate=accumulate))


def _with_wishes(plan: Run, wishes: TrainWishes, assignments: list[str]) -> Run:
    """A run with everything that was asked for, beside what stands in `assignments` already."""
    from sanderling import config

    assignments = assignments + _assigned(
        data__path=wishes.data,
        data__data_format=wishes.data_format,
        weights=wishes.weights,
        pretrained=wishes.pretrained,
        seed=wishes.seed,
        loop__patience=wishes.patience,
        task__freeze=wishes.freeze,
    )
    plan = config.override(plan, [*assignments, *wishes.assignments])
    if wishes.imgsz is not None:
        rule = picture_rule(plan.model.picture, imgsz=wishes.imgsz, resize=None, stride=plan.model.build().stride)
        plan = dataclasses.replace(plan, model=dataclasses.replace(plan.model, picture=rule))
    return plan


def resumed(run: str, output: Path | None, wishes: TrainWishes) -> tuple[Run, Path]:
    """The run of a folder as it was started, and the folder. The command that started it may be repeated.

    Raises:
        UsageError: the folder holds no run, or other settings are given.
    """
    from sanderling.recipes.named import named, names
    from sanderling.recipes.run import read_run

    folder = Path(run) if output is None else output
    if run not in names() and Path(run).is_dir() and Path(run).resolve() != folder.resolve():
        raise UsageError(
            f"RUN {run} and output {output} are two folders; name the one to resume, and leave the other out"
        )
    if not (folder / "run.yaml").is_file():
        raise UsageError(f"{folder}: holds no run.yaml; name the folder of the run to resume, with -o or as RUN")
    plan = read_run(folder / "run.yaml")
    if output is not None and not Path(run).exists() and named(run).model.name != plan.model.name:
        raise UsageError(f"{folder}: holds a run of {plan.model.name!r}, not of {run!r}; name another folder with -o")
    asked = _with_wishes(plan, wishes, _assigned(loop__epochs=wishes.epochs, batch=wishes.batch))
    if (changed := _first_difference(plan, asked)) is not None:
        raise UsageError(f"{folder}: a resumed run goes on as its run.yaml says; {changed}. Leave this out of --resume")
    return plan, folder


def on_this_machine(plan: Run, *, device: str | None, workers: int | None, threads: int | None) -> Run:
    """The run with everything automatic decided for this machine.

    Raises:
        UsageError: a device that this machine does not have, or a count that makes no sense.
    """
    from sanderling import config

    wishes = _assigned(device=device, workers=workers, threads=threads)
    return dataclasses.replace(plan, runtime=config.override(plan.runtime, wishes).resolved())


def _assigned(**values: Any) -> list[str]:
    """Options as assignments; `loop__epochs=5` is `loop.epochs=5`, JSON text is YAML text."""
    import json

    return [f"{key.replace('__', '.')}={json.dumps(value)}" for key, value in values.items() if value is not None]


def _first_difference(plan: Run, asked: Run) -> str | None:
    """The first setting in which two runs differ, in words."""
    from sanderling import config

    for key, ours, theirs in _differences(config.plain(plan), config.plain(asked), ""):
        return f"{key} is {ours!r} there and {theirs!r} is asked for"
    return None


def _differences(ours: Any, theirs: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in ours | theirs:
            yield from _differences(ours.get(name), theirs.get(name), f"{key}.{name}" if key else name)
    elif ours != theirs:
        yield key, ours, theirs
