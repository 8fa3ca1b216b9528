"""`--batch auto`: the largest batch whose training stays within a budget of memory, measured and explained.

A run in miniature is measured at two batches in processes of their own; what it holds is taken as a fixed part and a
part per picture. The choice is probed once more before it is used. Nothing here imports torch before that: while it
measures, this process is small.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sanderling.commands.batch_probe import DoesNotFitError, Probe, ProbeRequest, probe
from sanderling.commands.memory_budget import asked_memory, budget
from sanderling.commands.open_detector import require_torch
from sanderling.errors import RunError, UsageError
from sanderling.memory import Memory, address_space_limit, available_memory, in_words

if TYPE_CHECKING:
    from sanderling.recipes.run import Run

logger = logging.getLogger(__name__)

_LARGEST_GROWTH, _FEWEST_STEPS = 4, 20
"""Beyond the recipe's own step: at most so many times its pictures, and at least so many steps an epoch."""
_FILLED = 0.9
"""How much of the budget may be used: an epoch was seen to hold 7 % more than its first steps, as memory is cut up."""
_FIRST, _SECOND, _SECOND_FILLED = (2, 1), 16, 0.6
"""Pictures of the first probe, and at most of the second, which may fill so much of the budget by the first's guess."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchChoice:
    """Pictures of a batch, and how many batches make a step together."""

    batch: int
    accumulate: int = 1

    @property
    def step(self) -> int:
        """Pictures of an optimiser step."""
        return self.batch * self.accumulate


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """Bytes that a training takes: a part that is always there, and one for each picture of a batch."""

    fixed: float
    per_picture: float

    @classmethod
    def through(cls, first: tuple[int, float], second: tuple[int, float]) -> Demand:
        """The line through two measurements, each a batch and its bytes. More pictures never take less.

        >>> Demand.through((2, 700.0), (8, 1300.0)).at(16)
        2100.0
        """
        slope = max(0.0, (second[1] - first[1]) / (second[0] - first[0]))
        return cls(fixed=second[1] - slope * second[0], per_picture=slope)

    def at(self, batch: int) -> float:
        """Bytes at a batch."""
        return self.fixed + self.per_picture * batch


def planned_within_memory(
    request: ProbeRequest, *, memory: str | None, measure: Callable[[ProbeRequest, int], Probe] = probe
) -> Run:
    """The run that a request stands for, with the largest batch that fits and a learning rate for it.

    Args:
        request: what was asked for; no batch in it.
        memory: the budget, such as `4GB`: of the training with its loaders on the processor, of torch on a GPU. None
            takes most of what is free.
        measure: what probes a batch.

    Raises:
        UsageError: the budget is no size, the batch is given too, or several processes train together.
        RunError: not even one picture fits.
        SanderlingError: the run cannot be started, as `train` would say.
    """
    from sanderling.commands.train_plan import planned, with_batch

    require_torch("training")
    _refuse_contradictions(request)
    asked = None if memory is None else asked_memory(memory)
    probes = _Probes(request, measure, asked)
    options = choices(probes.smallest.step, probes.smallest.pictures)
    probes.spread(largest=options[0].batch, wanted=[option.batch for option in options])
    chosen = next((option for option in options if probes.holds(option)), None)
    if chosen is None:
        raise probes.too_large()
    recipe = planned(request.run, request.wishes)
    run = with_batch(recipe, request.run, request.wishes, batch=chosen.batch, accumulate=chosen.accumulate)
    for line in (*probes.figures(chosen), *_reasons(chosen, options, recipe, run)):
        logger.info("batch auto: %s", line)
    return run


def choices(step: int, pictures: int) -> list[BatchChoice]:
    """What may be chosen, the best first: more than the recipe's step, that step at once, and that step in parts.

    Args:
        step: pictures of the recipe's optimiser step. Where the data set has fewer, the largest of 1, 2, 3, 4, 6, 8,
            12 and so on that it has takes its place.
        pictures: of the data set.

    >>> [(choice.batch, choice.accumulate) for choice in choices(6, 300)]
    [(12, 1), (6, 1), (3, 2), (2, 3), (1, 6)]
    """
    if step > pictures:
        halvings = range(pictures.bit_length())
        step = max(size for power in halvings for size in (2**power, 3 * 2**power) if size <= pictures)
    grown = [
        BatchChoice(batch=step * times)
        for times in range(_LARGEST_GROWTH, 1, -1)
        if step * times * _FEWEST_STEPS <= pictures
    ]
    parts = [part for part in range(step, 0, -1) if step % part == 0]
    return [*grown, *(BatchChoice(batch=part, accumulate=step // part) for part in parts)]


class _Probes:
    """What was measured so far, each batch once, and what follows from it for the others.

    Args:
        request: the run.
        measure: what probes a batch.
        asked: the budget that was asked for.

    Attributes:
        smallest: the first that was measured.
    """

    def __init__(
        self, request: ProbeRequest, measure: Callable[[ProbeRequest, int], Probe], asked: Memory | None
    ) -> None:
        self._request, self._measure = request, measure
        self._found: dict[int, Probe | None] = {}
        self._short = ""
        free = available_memory()
        self._budget, self._addresses = budget(asked, free), address_space_limit()
        self.smallest = self._first()
        if self.smallest.device_free is not None:
            self._budget = budget(asked, Memory(size=self.smallest.device_free, reason="the GPU has free"))

    def spread(self, *, largest: int, wanted: Sequence[int]) -> None:
        """Measure a second batch, safely within the budget and if possible one that may be chosen."""
        room = self._budget.size * _SECOND_FILLED
        fitting = [size for size in wanted if size <= min(largest, _SECOND) and self._memory().at(size) <= room]
        if fitting and max(fitting) > self.smallest.batch:
            self._at(max(fitting))

    def holds(self, option: BatchChoice) -> bool:
        """Whether an option fits: by the line first, and then as it is measured."""
        # Batches that wait for their turn in a step of several.
        waiting = (option.step - option.batch) * self.smallest.picture_bytes
        if not self._within(self._memory().at(option.batch) + waiting, self._taken().at(option.batch) + waiting):
            return False
        found = self._at(option.batch)
        return found is not None and self._within(found.peak + waiting, found.addresses + waiting)

    def figures(self, chosen: BatchChoice) -> list[str]:
        """What was measured, in words."""
        memory, batches = self._memory(), sorted(batch for batch, found in self._found.items() if found is not None)
        found = self._found[chosen.batch]
        assert found is not None
        return [
            f"measured with {', '.join(map(str, batches))} pictures: {in_words(memory.fixed)}, and "
            f"{in_words(memory.per_picture)} for each picture of a batch; the budget is {self._budget}",
            f"{chosen.batch} pictures hold {in_words(found.peak)} at most",
        ]

    def too_large(self) -> RunError:
        """Why nothing fits, and the way out."""
        one = self._memory().at(1)
        limits = str(self._budget)
        if self._addresses is not None:
            limits += f"; it takes {in_words(self._taken().at(1))} of addresses, and ulimit -v allows "
            limits += in_words(self._addresses)
        return RunError(
            f"out of memory at batch 1: a batch of a single picture takes {in_words(one)} of memory, "
            f"{in_words(self._memory().fixed)} of it whatever the batch; the budget is {limits}{self._short}. "
            f"Up to {_FILLED:.0%} is used. Allow more with --memory or ulimit -v, or take a smaller --imgsz, fewer "
            "--workers or a smaller model"
        )

    def _first(self) -> Probe:
        for batch in _FIRST:
            found = self._at(batch)
            if found is not None:
                return found
        raise RunError(
            f"out of memory at batch 1{self._short}; the budget is {self._budget}. "
            "Allow more memory, or take a smaller --imgsz, fewer --workers or a smaller model"
        )

    def _at(self, batch: int) -> Probe | None:
        """The probe of a batch, None where memory did not suffice for it."""
        if batch not in self._found:
            logger.info("batch auto: measuring a few steps with %d pictures", batch)
            try:
                self._found[batch] = self._measure(self._request, batch)
            except DoesNotFitError as error:
                self._found[batch], self._short = None, f" ({error})"
        return self._found[batch]

    def _memory(self) -> Demand:
        """Of bytes held."""
        first, last = self._ends()
        if first is last:
            # Of a single measurement all that came with the steps is taken for the pictures'.
            return Demand.through((0, first.before), (first.batch, first.peak))
        return Demand.through((first.batch, first.peak), (last.batch, last.peak))

    def _taken(self) -> Demand:
        """Of bytes of addresses."""
        first, last = self._ends()
        if first is last:
            slope = self._memory().per_picture
            return Demand(fixed=first.addresses - slope * first.batch, per_picture=slope)
        return Demand.through((first.batch, first.addresses), (last.batch, last.addresses))

    def _ends(self) -> tuple[Probe, Probe]:
        """The probes of the smallest and the largest batch."""
        found = sorted((probe for probe in self._found.values() if probe is not None), key=lambda probe: probe.batch)
        return found[0], found[-1]

    def _within(self, held: float, taken: float) -> bool:
        fits = held <= self._budget.size * _FILLED
        return fits and (self._addresses is None or taken <= self._addresses * _FILLED)


def _reasons(chosen: BatchChoice, options: Sequence[BatchChoice], recipe: Run, run: Run) -> list[str]:
    """Why it is this batch, and what became of the learning rate."""
    own = recipe.batch * recipe.loop.accumulate
    if chosen != options[0]:
        larger = options[options.index(chosen) - 1].batch
        why = f"{larger} at once would not stay within it"
    elif chosen.step == own * _LARGEST_GROWTH:
        why = f"{_LARGEST_GROWTH} times the {own} of {recipe.recipe} are the most that is taken"
    elif chosen.step < own:
        why = f"the data set has fewer pictures than the {own} of {recipe.recipe}"
    else:
        why = f"more would leave fewer than {_FEWEST_STEPS} steps an epoch"
    parts = f", {chosen.accumulate} of which make a step of {chosen.step} together" if chosen.accumulate > 1 else ""
    lines = [f"batch {chosen.batch}{parts}: {why}"]
    before, after = recipe.optimizer.lr, run.optimizer.lr
    rule = "in proportion" if run.optimizer.kind == "sgd" else "with the square root"
    if chosen.step == own:
        lines.append(f"learning rate {after:.3g}, as it is for {own} pictures a step")
    else:
        lines.append(
            f"learning rate {after:.3g} instead of {before:.3g}, as a step has {chosen.step} pictures, not {own}"
        )
    lines.append(f"with another batch change optimizer.lr {rule}: fewer pictures a step, a smaller learning rate")
    return lines


def _refuse_contradictions(request: ProbeRequest) -> None:
    for text in request.wishes.assignments:
        key = text.partition("=")[0].strip()
        if key in ("batch", "loop.accumulate"):
            raise UsageError(f"--set {text} and --batch auto: leave one of the two out, as auto chooses {key}")
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes > 1:
        raise UsageError(
            f"--batch auto measures a single process, and {processes} train together; run it once with one process, "
            f"and give these {processes} times what it found with --batch"
        )
