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
from sanderling.studies.equal_time import epochs_that_fit
from sanderling.studies.machines import Attempt, Job, Trained, Work, one_process
from sanderling.studies.series import Place, Series, ordered

RUN = named("nanodet-debug", epochs=10)


def _agnostic(run: Run) -> Run:
    rule = dataclasses.replace(run.model.postprocess, class_agnostic=True)
    return dataclasses.replace(run, model=dataclasses.replace(run.model, postprocess=rule))


def _ablation(*, seeds: tuple[int, ...] = (0, 1), batch: int = 8, minutes: float | None = None) -> Ablation:
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
    return Ablation(mode="ladder", steps=steps, seeds=seeds, minutes=minutes)


@dataclasses.dataclass
class Worker:
    """Notes its jobs and gives an AP that tells the run; some of them fail. The batch tells what an epoch takes."""

    fails: Callable[[Job], bool] = lambda _: False
    epoch_s: dict[int, float] = dataclasses.field(default_factory=dict)
    jobs: list[Job] = dataclasses.field(default_factory=list)

    def __call__(self, job: Job) -> Trained:
        self.jobs.append(job)
        if self.fails(job):
            raise RunError(f"{job.folder.name} diverged")
        ap = job.run.batch / 100 + job.run.seed / 1000 + job.run.loop.epochs / 10000
        epochs = () if job.weights_from else (self.epoch_s.get(job.run.batch, 0.5),) * job.run.loop.epochs
        return Trained(metrics={"AP": ap, "AP50": None}, epoch_s=epochs)

    @property
    def names(self) -> list[str]:
        return [job.folder.name for job in self.jobs]


def _series(folder: Path, worker: Work, ablation: Ablation | None = None, **options: object) -> Series:
    options.setdefault("machines", one_process)
    options.setdefault("inputs", lambda _: {"train": "ab12"})
    return Series(ablation=ablation or _ablation(), folder=folder, work=worker, **options)  # type: ignore[arg-type]


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


def test_results_of_changed_files_are_not_taken_for_those_of_these(tmp_path: Path) -> None:
    _series(tmp_path, Worker()).run()
    worker = Worker()
    changed = _series(tmp_path, worker, inputs=lambda run: {"train": "ab13" if run.batch == 8 else "ab12"})
    with pytest.raises(UsageError, match=r"batch-seed0.json: is of another run: the files of its train are others"):
        changed.run()
    assert worker.jobs == []
    dataclasses.replace(changed, overwrite=True).run()
    assert "baseline-seed0" not in worker.names
    assert len(worker.jobs) == 6
    assert worker.jobs[0].inputs == {"train": "ab13"}


def test_weights_that_were_trained_again_are_evaluated_again(tmp_path: Path) -> None:
    ablation = _ablation(seeds=(0,))
    _series(tmp_path, Worker(), ablation).run()
    (tmp_path / "batch-seed0.json").unlink()
    _series(tmp_path, Worker(epoch_s={8: 0.6}), dataclasses.replace(ablation, steps=ablation.steps[:2])).run()
    # Both results are of the runs that are asked for, and the one was found with weights that are gone.
    worker = Worker()
    _series(tmp_path, worker, ablation).run()
    assert worker.names == ["agnostic-seed0"]


def test_a_result_is_gone_before_its_weights_are(tmp_path: Path) -> None:
    def stops(job: Job) -> bool:
        raise KeyboardInterrupt

    _series(tmp_path, Worker(), _ablation(seeds=(0,))).run()
    with pytest.raises(KeyboardInterrupt):
        _series(tmp_path, Worker(stops), _ablation(batch=4, seeds=(0,)), overwrite=True).run()
    worker = Worker()
    _series(tmp_path, worker, _ablation(seeds=(0,))).run()
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
    # The second step's epochs take longer, and the last one's are its own.
    worker = Worker(epoch_s={16: 0.5, 8: 1.0})
    series = _series(tmp_path, worker, _ablation(seeds=(3,), minutes=1.0), machines=Clock(7.0))
    results = series.run()
    fit, slower = (epochs_that_fit(minutes=1, seconds=7, epoch_s=[epoch_s] * 5) for epoch_s in (0.5, 1.0))
    assert (fit, slower) == (105, 55)
    assert worker.names[:4] == ["warming-up", "baseline", "batch", "longer"]
    assert {(job.folder.parent.name, job.anew) for job in worker.jobs[:4]} == {("timing", True)}
    assert [job.run.loop.epochs for job in worker.jobs[:4]] == [1, 5, 5, 5]
    assert not any(job.anew for job in worker.jobs[4:])
    assert [len(results[Place(place, 3)].epoch_s) for place in range(4)] == [fit, slower, 0, 2 * slower]
    again = Worker()
    later = dataclasses.replace(series, work=again, machines=Clock(20.0))
    assert later.run() == results
    assert again.jobs == [], "what was timed once is kept"


def test_steps_that_are_timed_nearly_alike_have_the_same_epochs(tmp_path: Path) -> None:
    worker = Worker(epoch_s={16: 0.5, 8: 0.55})
    ablation = _ablation(seeds=(0,), minutes=1.0)
    results = _series(tmp_path, worker, ablation, machines=Clock(7.0)).run()
    epochs = [len(results[Place(place, 0)].epoch_s) for place in range(4)]
    assert epochs == [epochs[0], epochs[0], 0, 2 * epochs[0]]


def test_too_little_time_is_refused_and_what_was_timed_is_kept(tmp_path: Path) -> None:
    worker = Worker(epoch_s={8: 60.0})
    ablation = _ablation(seeds=(0,), minutes=1.0)
    with pytest.raises(UsageError, match=r"batch: minutes = 1: an epoch takes about 60.0 s"):
        _series(tmp_path, worker, ablation, machines=Clock(7.0)).run()
    assert all(job.anew for job in worker.jobs)
    again = Worker()
    _series(tmp_path, again, dataclasses.replace(ablation, minutes=5.0)).run()
    assert [job.anew for job in again.jobs] == [False] * 4


def test_timing_that_was_stopped_goes_on_with_the_next_step(tmp_path: Path) -> None:
    def stops(job: Job) -> bool:
        if job.folder.name == "batch":
            raise KeyboardInterrupt
        return False

    ablation = _ablation(seeds=(0,), minutes=1.0)
    with pytest.raises(KeyboardInterrupt):
        _series(tmp_path, Worker(stops), ablation).run()
    worker = Worker()
    _series(tmp_path, worker, ablation).run()
    assert worker.names[:4] == ["warming-up", "batch", "longer", "baseline-seed0"]


def test_a_step_that_cannot_be_timed_is_noted(tmp_path: Path) -> None:
    ablation = _ablation(seeds=(0,), minutes=1.0)
    series = _series(tmp_path, Worker(), ablation, machines=Clock(7.0, "timing batch"))
    errors = [series.run()[Place(place, 0)].error for place in range(4)]
    assert errors == [None, "out of memory", "out of memory", None]
