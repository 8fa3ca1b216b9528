"""All runs of an ablation: what is finished is kept, the rest is trained, what only decodes otherwise is evaluated."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sanderling import config
from sanderling.errors import UsageError
from sanderling.recipes.run import Run
from sanderling.studies.ablation import Ablation
from sanderling.studies.equal_time import epochs_beside, epochs_that_fit, timed, with_epochs
from sanderling.studies.machines import Attempt, Job, Machines, Work
from sanderling.studies.results import Plain, Result, digest_of, read_result, write_result

logger = logging.getLogger(__name__)


class Place(NamedTuple):
    """One run of an ablation: the place of its step and its seed."""

    step: int
    seed: int


Results = Mapping[Place, Result]


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """How the runs of an ablation are done.

    Attributes:
        ablation: what is asked for.
        folder: where every run has its own, `STEP-seedN`, and its result beside it, `STEP-seedN.json`.
        work: trains a job, or evaluates it with the weights of another.
        machines: where.
        inputs: digests of the files that a run reads; a result of other files is not kept.
        overwrite: train again what was trained otherwise.
    """

    ablation: Ablation
    folder: Path
    work: Work
    machines: Machines
    inputs: Callable[[Run], Mapping[str, str]]
    overwrite: bool = False

    def folder_of(self, place: Place) -> Path:
        """The run folder."""
        return self.folder / f"{self.ablation.steps[place.step].file_name}-seed{place.seed}"

    def run(self, changed: Callable[[Results], None] = lambda _: None) -> Results:
        """Do everything that is not done yet; a run that fails is noted and stops no other.

        Args:
            changed: told of all results so far after each run.

        Raises:
            UsageError: the folder holds the result of another run, and `overwrite` is off, or not one epoch of a step
                fits into the minutes. Nothing but timings is trained then, and these are kept.
        """
        ablation = self.ablation
        plans, failed = self._planned()
        results: dict[Place, Result] = {}
        missing: dict[Place, Run] = {}
        # All steps with one seed before the next seed: a study that is stopped has compared something.
        for place in (Place(step, seed) for seed in ablation.seeds for step in range(len(ablation.steps))):
            why = failed.get(self._source(place).step)
            if why is not None:
                results[place] = Result(run=_plain(ablation.steps[place.step].run, place.seed), error=why)
                continue
            run = dataclasses.replace(plans[place.step], seed=place.seed)
            kept = self._kept(place, run, trained_again=self._source(place) in missing)
            if kept is None:
                missing[place] = run
            else:
                results[place] = kept
        changed(results)
        own = {place: run for place, run in missing.items() if self._source(place) == place}
        self._do(own, results, changed)
        self._do({place: run for place, run in missing.items() if place not in own}, results, changed)
        return results

    def _do(self, runs: Mapping[Place, Run], results: dict[Place, Result], changed: Callable[[Results], None]) -> None:
        """Train or evaluate, and add what was found."""
        jobs: dict[Path, Place] = {}
        for place, run in runs.items():
            source = self._source(place)
            if source != place and results[source].error is not None:
                name = self.ablation.steps[source.step].name
                results[place] = Result(run=_plain(run), error=f"{name}, whose weights it uses, failed")
            else:
                jobs[self.folder_of(place)] = place
        order = [self._job(place, runs[place]) for place in jobs.values()]
        for job in order:
            # Weights that are being made anew must not be taken for those of an earlier result.
            _result_file(job.folder).unlink(missing_ok=True)
        for done, (job, tried) in enumerate(self.machines(self.work, order), start=1):
            results[jobs[job.folder]] = self._noted(job, tried)
            logger.info("%d of %d: %s: %s", done, len(order), job.name, _said(tried))
            changed(results)

    def _source(self, place: Place) -> Place:
        return Place(self.ablation.weights_of(place.step), place.seed)

    def _job(self, place: Place, run: Run) -> Job:
        source = self._source(place)
        return Job(
            name=f"{self.ablation.steps[place.step].name}, seed {place.seed}",
            run=run,
            folder=self.folder_of(place),
            inputs=self.inputs(run),
            weights_from=None if source == place else self.folder_of(source),
        )

    def _kept(self, place: Place, run: Run, *, trained_again: bool) -> Result | None:
        """The result of an earlier time; an evaluation holds only for the weights that it measured."""
        kept, source = self._read(self.folder_of(place), run), self._source(place)
        if kept is None or source == place:
            return kept
        same = not trained_again and kept.weights_of == digest_of(_result_file(self.folder_of(source)))
        return kept if same else None

    def _planned(self) -> tuple[dict[int, Run], dict[int, str]]:
        """Each step's run with the epochs that it gets, and why steps have none."""
        ablation, steps = self.ablation, self.ablation.steps
        if ablation.minutes is None:
            return {place: step.run for place, step in enumerate(steps)}, {}
        found = self._timings()
        fit: dict[int, int] = {}
        for place, result in sorted(found.items()):
            if result.error is None:
                before = steps[place].before
                compared = None if before is None else fit.get(ablation.weights_of(before))
                fit[place] = epochs_beside(compared, self._epochs_that_fit(place, result, ablation.minutes))
        plans = {
            place: with_epochs(step.run, max(1, round(fit[source] * ablation.length_of(place))))
            for place, step in enumerate(steps)
            if (source := ablation.weights_of(place)) in fit
        }
        return plans, {place: result.error for place, result in found.items() if result.error is not None}

    def _epochs_that_fit(self, place: int, timing: Result, minutes: float) -> int:
        """Epochs of the baseline's schedule, which a longer one has in proportion."""
        try:
            return epochs_that_fit(minutes=minutes, seconds=timing.seconds, epoch_s=timing.epoch_s)
        except UsageError as error:
            raise UsageError(f"{self.ablation.steps[place].name}: {error}") from None

    def _timings(self) -> dict[int, Result]:
        """A short training of every step that is trained."""
        steps = self.ablation.steps
        found: dict[int, Result] = {}
        jobs: list[Job] = []
        places: dict[Path, int] = {}
        for place in dict.fromkeys(map(self.ablation.weights_of, range(len(steps)))):
            run, folder = timed(steps[place].run), self.folder / "timing" / steps[place].file_name
            result = self._read(folder, run)
            if result is not None:
                found[place] = result
                continue
            places[folder] = place
            name = f"timing {steps[place].name}"
            jobs.append(Job(name=name, run=run, folder=folder, inputs=self.inputs(run), anew=True))
        self._warm_up(jobs)
        for job, tried in self.machines(self.work, jobs):
            found[places[job.folder]] = self._noted(job, tried)
            logger.info("%s: %s", job.name, _said(tried))
        return found

    def _warm_up(self, jobs: Sequence[Job]) -> None:
        """One epoch that counts for nothing: the first training of a process is slow to start, and no other is."""
        for job in jobs[:1]:
            first = dataclasses.replace(
                job, name="warming up", run=with_epochs(job.run, 1), folder=job.folder.with_name("warming-up")
            )
            for _, tried in self.machines(self.work, [first]):
                logger.info("%s: %s", first.name, _said(tried))

    def _read(self, folder: Path, run: Run) -> Result | None:
        return read_result(_result_file(folder), _plain(run), self.inputs(run), overwrite=self.overwrite)

    def _noted(self, job: Job, tried: Attempt) -> Result:
        epoch_s = () if tried.trained is None else tried.trained.epoch_s
        result = Result(
            run=_plain(job.run),
            inputs=job.inputs,
            weights_of=None if job.weights_from is None else digest_of(_result_file(job.weights_from)),
            metrics=None if tried.trained is None else dict(tried.trained.metrics),
            error=tried.error,
            # A training that was stopped and went on took longer than since then.
            seconds=round(max(tried.seconds, sum(epoch_s)), 3),
            epoch_s=epoch_s,
        )
        write_result(_result_file(job.folder), result)
        return result


def ordered(ablation: Ablation, results: Results) -> Iterator[tuple[int, Sequence[Result]]]:
    """The results of each step, in the order of the seeds."""
    for place in range(len(ablation.steps)):
        yield place, [results[Place(place, seed)] for seed in ablation.seeds if Place(place, seed) in results]


def _result_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def _plain(run: Run, seed: int | None = None) -> Plain:
    plain: Plain = config.plain(run if seed is None else dataclasses.replace(run, seed=seed))
    return plain


def _said(tried: Attempt) -> str:
    if tried.trained is None:
        return f"failed: {tried.error}"
    ap = tried.trained.metrics.get("AP")
    return f"{tried.seconds:.0f} s" + ("" if ap is None else f", AP {100 * ap:.1f}")
