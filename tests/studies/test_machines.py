from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sanderling.errors import MissingDependencyError, RunError
from sanderling.recipes.named import named
from sanderling.studies.machines import Job, Trained, on_ray, one_process
from tests.support.fake_ray import FakeRay

RUN = named("nanodet-debug")
JOBS = [Job(name=name, run=RUN, folder=Path(name)) for name in ("first", "second", "third")]


def _work(job: Job) -> Trained:
    if job.name == "second":
        raise RunError("the run diverged\nmore words")
    return Trained(metrics={"AP": float(len(job.name))}, epoch_s=(1.0,))


def test_one_after_another_and_a_failure_stops_no_other() -> None:
    tried = list(one_process(_work, JOBS))
    assert [job.name for job, _ in tried] == ["first", "second", "third"]
    assert [attempt.error for _, attempt in tried] == [None, "the run diverged", None]
    assert [attempt.trained and attempt.trained.metrics["AP"] for _, attempt in tried] == [5, None, 5]
    assert all(attempt.seconds >= 0 for _, attempt in tried)
    assert list(one_process(_work, [])) == []


def test_what_is_no_error_of_ours_is_told_by_its_kind() -> None:
    def broken(job: Job) -> Trained:
        raise ZeroDivisionError

    assert next(one_process(broken, JOBS))[1].error == "ZeroDivisionError"


def test_who_stops_stops() -> None:
    def stopped(job: Job) -> Trained:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(one_process(stopped, JOBS))


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake.module())
    return fake


def test_each_job_is_a_task_and_comes_when_it_is_over(ray: FakeRay) -> None:
    tried = list(on_ray(cpus=3, gpus=1)(_work, JOBS))
    assert [job.name for job, _ in tried] == ["third", "second", "first"]
    assert [attempt.error for _, attempt in tried] == [None, "the run diverged", None]
    assert ray.asked == [{"num_cpus": 3, "num_gpus": 1, "max_retries": 0}]
    assert ray.cancelled == []


def test_a_cluster_that_is_there_is_taken(ray: FakeRay) -> None:
    ray.running = True
    assert len(list(on_ray(cpus=1)(_work, JOBS))) == 3


def test_a_worker_that_dies_is_a_failed_run(ray: FakeRay) -> None:
    ray.dies = "first"
    tried = {job.name: attempt for job, attempt in on_ray(cpus=1)(_work, JOBS)}
    assert tried["first"].error == "RayError: the worker died"
    assert tried["third"].error is None


def test_what_is_not_over_is_cancelled_when_the_user_stops(ray: FakeRay) -> None:
    running = on_ray(cpus=1)(_work, JOBS)
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert ray.cancelled == [0, 1]


def test_ray_that_does_not_start_is_no_fault_of_ours(ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(**_: object) -> None:
        raise Exception("the node timed out")

    monkeypatch.setattr(sys.modules["ray"], "init", slow)
    with pytest.raises(RunError, match=r"Ray could not be started: Exception: the node timed out; .*ray start --head"):
        list(on_ray(cpus=1)(_work, JOBS))


def test_without_ray_the_line_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'sanderling\[ray\]'"):
        on_ray(cpus=1)
