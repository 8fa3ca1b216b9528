"""An ablation as a value: a baseline and steps, each on top of the one before or each alone, over several seeds."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sanderling import config
from sanderling.errors import UsageError, nearest
from sanderling.recipes.run import Run
from sanderling.studies.ladders import ladder_of
from sanderling.studies.switches import apply_switches, parts

BASELINE = "baseline"
Mode = Literal["ladder", "single"]
"""Each step on top of the one before, or each alone on top of the baseline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One row.

    Attributes:
        name: what it adds, as it was written; `baseline` for the first.
        run: what is trained, with the baseline's seed.
        before: the place of the step that it is compared with, None for the baseline.
        letter: of the row in a published table that has the same switches on, may be empty.
        published_ap: what its authors give, a fraction.
    """

    name: str
    run: Run
    before: int | None
    letter: str = ""
    published_ap: float | None = None

    @property
    def file_name(self) -> str:
        """The name, fit for a file system."""
        return re.sub(r"[^A-Za-z0-9._+=-]+", "-", self.name.replace(",", "+"))[-100:]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ablation:
    """What is trained and compared.

    Attributes:
        mode: what each step stands on.
        steps: the baseline first.
        seeds: of every step.
        minutes: wall time of a training with the baseline's epochs; a step that has twice the epochs gets about twice
            the time. None keeps the epochs.
        source: where the published figures are from, may be empty.
        baseline_changes: in what the baseline differs from the recipe that stands for the first published row, as
            `key=value`.
    """

    mode: Mode
    steps: tuple[Step, ...]
    seeds: tuple[int, ...]
    minutes: float | None = None
    source: str = ""
    baseline_changes: tuple[str, ...] = ()

    def length_of(self, place: int) -> float:
        """The schedule of a step in those of the baseline.

        >>> from sanderling.recipes.named import named
        >>> plan_ablation(named("ppyolo-small"), ["double-schedule"], mode="ladder", seeds=1).length_of(1)
        2.0
        """
        return self.steps[place].run.loop.epochs / self.steps[0].run.loop.epochs

    def weights_of(self, place: int) -> int:
        """The step whose weights a step uses: its own, unless all that it changes is the post-processing.

        >>> from sanderling.recipes.named import named
        >>> plan_ablation(named("ppyolo-small"), ["one-class"], mode="ladder", seeds=1).weights_of(1)
        0
        """
        step = self.steps[place]
        if step.before is None:
            return place
        before = self.steps[step.before].run
        same = dataclasses.replace(step.run.model, postprocess=before.model.postprocess)
        if dataclasses.replace(step.run, model=same) != before:
            return place
        return self.weights_of(step.before)


def plan_ablation(
    run: Run, switches: Sequence[str], *, mode: str, seeds: int, minutes: float | None = None
) -> Ablation:
    """Make the steps.

    Args:
        run: the baseline; the first seed is its own.
        switches: one text per step: names and `key=value`, joined by commas.
        mode: `ladder` or `single`.
        seeds: how many trainings a step has.
        minutes: of a training; None keeps the epochs.

    Raises:
        UsageError: no switch, one twice, an unknown one, one that does not apply or that changes what all steps share;
            an unknown mode; fewer than one seed; no time.
    """
    if mode not in get_args(Mode):
        raise UsageError(f"mode = {mode!r} is not known; {nearest(mode, get_args(Mode))}")
    if seeds < 1:
        raise UsageError(f"seeds = {seeds}: at least 1 is expected")
    if minutes is not None and not 0 < minutes < math.inf:
        raise UsageError(f"minutes = {minutes:g}: a number above 0 is expected")
    if not switches:
        raise UsageError("no switch is named; name what to measure with --switch (see: --list-switches), or --ladder")
    published = ladder_of(run.model.name)
    on: list[str] = []
    steps: list[Step] = []
    for place, text in enumerate([BASELINE, *switches]):
        added = [] if place == 0 else parts(text)
        below = 0 if mode == "single" else place - 1
        on = added if mode == "single" else [*on, *added]
        row = None if published is None else published.row(on)
        steps.append(
            Step(
                name=",".join(added) or BASELINE,
                run=apply_switches(steps[below].run, text) if place else run,
                before=below if place else None,
                letter="" if row is None else row.letter,
                published_ap=None if row is None else row.ap,
            )
        )
        _require_comparable(run, steps[-1].run, text)
        if steps[-1].file_name in {step.file_name for step in steps[:-1]}:
            raise UsageError(f"switch {text!r} is named twice, or another one is called alike; name each once")
    shown = published if any(step.letter for step in steps[1:]) else None
    return Ablation(
        mode="single" if mode == "single" else "ladder",
        steps=tuple(steps),
        seeds=tuple(run.seed + number for number in range(seeds)),
        minutes=minutes,
        source="" if shown is None else shown.source,
        baseline_changes=() if shown is None else shown.changed_in(run),
    )


def _require_comparable(baseline: Run, run: Run, text: str) -> None:
    """Refuse a step that is not measured on the same pictures as the baseline, or not with the study's seeds."""
    for key, ours, theirs in config.differences(_shared(baseline), _shared(run)):
        raise UsageError(
            f"switch {text!r} changes {key} from {ours!r} to {theirs!r}, which all steps of an ablation share; leave "
            "it out, or set it for all of them: --set"
        )


def _shared(run: Run) -> dict[str, Any]:
    """What no step may change; other pictures to learn from are a step like any other."""
    data = dataclasses.replace(run.data, train="")
    return {"seed": run.seed, "data": config.plain(data), "model.class_names": run.model.class_names}
