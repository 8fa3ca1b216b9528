"""Which run a user means: a name or file, then options, then `key=value`, then what this machine decides."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling import config
from sanderling.commands.open_detector import picture_rule
from sanderling.errors import UsageError

if TYPE_CHECKING:
    from sanderling.data.augment import BatchSizes
    from sanderling.recipes.run import Run

logger = logging.getLogger(__name__)

RUN_SUFFIXES = (".yaml", ".yml")
"""Of a run's file, however it is called."""


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
    if run not in names() and (path.suffix in RUN_SUFFIXES or path.is_dir()):
        plan = read_run(path / "run.yaml" if path.is_dir() else path)
        assignments = config.assigned({"loop.epochs": wishes.epochs, "batch": wishes.batch})
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
    assignments = assignments + config.assigned(
        {
            "data.path": wishes.data,
            "data.data_format": wishes.data_format,
            "weights": wishes.weights,
            "pretrained": wishes.pretrained,
            "seed": wishes.seed,
            "loop.patience": wishes.patience,
            "task.freeze": wishes.freeze,
        }
    )
    plan = config.override(plan, [*assignments, *wishes.assignments])
    return plan if wishes.imgsz is None else _at_size(plan, wishes.imgsz, wishes.assignments)


def _at_size(plan: Run, imgsz: int | Sequence[int], assignments: Sequence[str]) -> Run:
    """The run at another input size. Batches of many sizes follow it, unless theirs were asked for."""
    rule = picture_rule(plan.model.picture, imgsz=imgsz, resize=None, stride=plan.model.build().stride)
    factor = max(rule.size_hw) / max(plan.model.picture.size_hw)
    plan = dataclasses.replace(plan, model=dataclasses.replace(plan.model, picture=rule))
    sizes, keys = plan.augment.sizes, [text.partition("=")[0].strip() for text in assignments]
    if sizes is None or any(key == "augment" or key.startswith("augment.sizes") for key in keys):
        return plan
    follow = _scaled(sizes, factor)
    if follow != sizes:
        logger.info(
            "augment.sizes: batches are drawn from %d to %d px instead of from %d to %d, as the input is another one",
            *(follow.smallest, follow.largest, sizes.smallest, sizes.largest),
        )
    return dataclasses.replace(plan, augment=dataclasses.replace(plan.augment, sizes=follow))


def _scaled(sizes: BatchSizes, factor: float) -> BatchSizes:
    """The same range around an input so many times as large, in multiples of the step."""

    def side(longer: int) -> int:
        return max(1, round(longer * factor / sizes.step)) * sizes.step

    return dataclasses.replace(sizes, smallest=side(sizes.smallest), largest=side(sizes.largest))


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
    asked = _with_wishes(plan, wishes, config.assigned({"loop.epochs": wishes.epochs, "batch": wishes.batch}))
    for key, ours, theirs in config.differences(config.plain(plan), config.plain(asked)):
        raise UsageError(
            f"{folder}: a resumed run goes on as its run.yaml says; {key} is {ours!r} there and {theirs!r} is asked "
            "for. Leave this out of --resume"
        )
    return plan, folder


def on_this_machine(plan: Run, *, device: str | None, workers: int | None, threads: int | None) -> Run:
    """The run with everything automatic decided for this machine.

    Raises:
        UsageError: a device that this machine does not have, or a count that makes no sense.
    """
    wishes = config.assigned({"device": device, "workers": workers, "threads": threads})
    return dataclasses.replace(plan, runtime=config.override(plan.runtime, wishes).resolved())
