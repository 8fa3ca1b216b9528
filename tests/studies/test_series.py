from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from sanderling import config
from sanderling.errors import RunError, UsageError
from sanderling.recipes.named import named
from sanderling.recipes.run import Run
from sanderling.studies.ablation import Ablation, Step
from sanderling.studies.machines import Attempt, Job, Trained, Work, one_process
from sanderling.studies.series import Place, Series, ordered

RUN = named("nanodet-debug", epochs=10)


def _agnostic(run: Run) -> Run:
    rule = dataclasses.replace(run.model.postprocess, class_agnostic=True)
    return dataclasses.replace(run, model=dataclasses.replace(run.model, postprocess=rule))


def _ablation(*, seeds: tuple[int, ...] = (0, 1), batch: int = 8) -> Ablation:
    """Baseline, another batch, the same decoded otherwise, and twice the epochs on top of that."""
    second = dataclasses.replace(RUN, batch=batch)
    third = _agnostic(second)
    fourth = dataclasses.replace(third, loop=dataclasses.replace(third.loop, epochs=20))
    steps = (
        Step(name="baseline", run=RUN, before=None),
        Step(name="batch", run=second, before=0),
        Step(name="agnostic", run=third, before=1),
        Step(name="longer", run=fourth, before=2),
    )
    return Ablation(mode="ladder", steps=steps, seeds=seeds)


@dataclasses.dataclass
class Worker:
    """Notes its jobs and gives an AP that tells the run; some of them fail."""

    fails: Callable[[Job], bool] = lambda _: False
    jobs: list[Job] = dataclasses.field(default_factory=list)

    def __call__(self, job: Job) -> Trained:
        self.jobs.append(job)
        if self.fails(job):
            raise RunError(f"{job.folder.name} diverged")
        ap = job.run.batch / 100 + job.run.seed / 1000 + job.run.loop.epochs / 10000
        epochs = () if job.weights_from else (0.5,) * job.run.loop.epochs
        return Trained(metrics={"AP": ap, "AP50": None}, epoch_s=epochs)

    @property
    def names(self) -> list[str]:
        return [job.folder.name for job in self.jobs]


def _series(folder: Path, worker: Work, ablation: Ablation | None = None, **options: object) -> Series:
    return Series(ablation=ablation or _ablation(), folder=folder, work=worker, machines=one_process, **options)  # type: ignore[arg-type]


def test_everything_is_trained_once_and_what_only_decodes_is_evaluated_after(tmp_path: Path) -> None:
    worker, seen = Worker(), list[int]()
    results = _series(tmp_path, worker).run(lambda so_far: seen.append(len(so_far)))
    assert worker.names == [
        *("baseline-seed0", "batch-seed0", "longer-seed0", "baseline-seed1", "batch-seed1", "longer-seed1"),
        *("agnostic-seed0", "agnostic-seed1"),
    ]
    assert [job.weights_from for job in worker.jobs[6:]] == [tmp_path / "batch-seed0", tmp_path / "batch-seed1"]
    assert all(job.weights_from is None for job in worker.jobs[:6])
    assert [job.run.seed for job in worker.jobs] == [0, 0, 0, 1, 1, 1, 0, 1]
    assert seen == list(range(9))
    assert len(results) == 8
    assert results[Place(1, 1)].metrics == {"AP": pytest.approx(0.082), "AP50": None}
    assert results[Place(1, 1)].run == config.plain(dataclasses.replace(_ablation().steps[1].run, seed=1))
    assert [place for place, found in ordered(_ablation(), results) if len(found) == 2] == [0, 1, 2, 3]


def test_a_study_that_was_stopped_goes_on(tmp_path: Path) -> None:
    def stops(job: Job) -> bool:
        if job.folder.name == "longer-seed0":
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        _series(tmp_path, Worker(stops)).run()
    worker = Worker()
    results = _series(tmp_path, worker).run()
    assert worker.names[0] == "longer-seed0"
    assert len(worker.names) == 6
    again = Worker()
    assert _series(tmp_path, again).run() == results
    assert again.jobs == []


def test_more_seeds_keep_what_is_there(tmp_path: Path) -> None:
    _series(tmp_path, Worker(), _ablation(seeds=(0,))).run()
    worker = Worker()
    _series(tmp_path, worker, _ablation(seeds=(0, 1))).run()
    assert all(name.endswith("seed1") for name in worker.names)


def test_a_failed_run_is_noted_and_tried_again_next_time(tmp_path: Path) -> None:
    worker = Worker(lambda job: job.folder.name == "batch-seed0")
    results = _series(tmp_path, worker).run()
    errors = {place: result.error for place, result in results.items() if result.error is not None}
    assert errors == {Place(1, 0): "batch-seed0 diverged", Place(2, 0): "batch, whose weights it uses, failed"}
    assert results[Place(3, 0)].metrics is not None
    assert json.loads((tmp_path / "batch-seed0.json").read_text())["error"] == "batch-seed0 diverged"
    again = Worker()
    results = _series(tmp_path, again).run()
    assert again.names == ["batch-seed0", "agnostic-seed0"]
    assert all(result.error is None for result in results.values())


def test_results_of_another_run_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    _series(tmp_path, Worker(), _ablation(seeds=(0,))).run()
    worker = Worker()
    with pytest.raises(UsageError, match=r"batch-seed0.json: is of another run: batch is 8 there and 4 is asked for"):
        _series(tmp_path, worker, _ablation(batch=4)).run()
    assert worker.jobs == []
    _series(tmp_path, worker, _ablation(batch=4, seeds=(0,)), overwrite=True).run()
    # The baseline is the same run.
    assert worker.names == ["batch-seed0", "longer-seed0", "agnostic-seed0"]


class Clock:
    """Machines on which every attempt takes a stated time."""

    def __init__(self, seconds: float, fails: str = "") -> None:
        self.seconds, self.fails = seconds, fails

    def __call__(self, work: Work, jobs: Sequence[Job]) -> Iterator[tuple[Job, Attempt]]:
        for job in jobs:
            if job.name == self.fails:
                yield job, Attempt(error="out of memory", seconds=1)
            else:
                yield job, Attempt(trained=work(job), seconds=self.seconds)


def test_with_minutes_each_step_is_timed_and_gets_the_epochs_that_fit(tmp_path: Path) -> None:
    worker = Worker()
    series = dataclasses.replace(_series(tmp_path, worker, _ablation(seeds=(3,))), machines=Clock(7.0), minutes=1.0)
    results = series.run()
    # Epochs of 0.5 s; 7 s less four of them are around it, and four further validations of 3 s.
    fit = int((60 - (7 - 4 * 0.5) - 4 * 3) / 0.5)
    twice = int((120 - (7 - 4 * 0.5) - 4 * 3) / 0.5)
    assert worker.names[:3] == ["baseline", "batch", "longer"]
    assert {job.folder.parent.name for job in worker.jobs[:3]} == {"timing"}
    assert [job.run.loop.epochs for job in worker.jobs] == [4, 4, 4, fit, fit, twice, fit]
    assert [len(results[Place(place, 3)].epoch_s) for place in range(4)] == [fit, fit, 0, twice]
    again = Worker()
    slower = dataclasses.replace(series, work=again, machines=Clock(20.0))
    assert slower.run() == results
    assert again.jobs == [], "what was timed once is kept"


def test_a_step_that_cannot_be_timed_is_noted(tmp_path: Path) -> None:
    series = dataclasses.replace(
        _series(tmp_path, Worker(), _ablation(seeds=(0,))), machines=Clock(7.0, "timing batch"), minutes=1.0
    )
    errors = [series.run()[Place(place, 0)].error for place in range(4)]
    assert errors == [None, "out of memory", "out of memory", None]
