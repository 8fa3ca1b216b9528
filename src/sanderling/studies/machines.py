"""Where the trainings of a study run: one after another in this process, or many at once through Ray."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sanderling.errors import MissingDependencyError, RunError, SanderlingError
from sanderling.recipes.run import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What a training or evaluation hands back.

    Attributes:
        metrics: of the best weights, name to fraction.
        epoch_s: seconds of each epoch.
    """

    metrics: Mapping[str, float | None]
    epoch_s: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One training, or one evaluation with the weights of another folder.

    Attributes:
        name: for people.
        run: what.
        folder: where its files go.
        inputs: digests of the files that the run reads.
        weights_from: the folder of a finished run, None to train.
        anew: begin again where it was stopped, as its time is what is asked for.
    """

    name: str
    run: Run
    folder: Path
    inputs: Mapping[str, str] = field(default_factory=dict)
    weights_from: Path | None = None
    anew: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A job that was tried: what it gave, or why it failed."""

    trained: Trained | None = None
    error: str | None = None
    seconds: float = 0.0


Work = Callable[[Job], Trained]


class Machines(Protocol):
    """Does jobs and gives each one's attempt as soon as it is over, in any order; a failed one stops no other."""

    def __call__(self, work: Work, jobs: Sequence[Job]) -> Iterator[tuple[Job, Attempt]]:
        """Do the jobs."""
        ...


def one_process(work: Work, jobs: Sequence[Job]) -> Iterator[tuple[Job, Attempt]]:
    """One after another, here."""
    for job in jobs:
        yield job, attempt(work, job)


def attempt(work: Work, job: Job) -> Attempt:
    """Try a job; whatever goes wrong with it is an answer, except that the user stops."""
    started = time.perf_counter()
    try:
        return Attempt(trained=work(job), seconds=time.perf_counter() - started)
    except Exception as error:
        logger.debug("%s failed", job.name, exc_info=True)
        return Attempt(error=_reason(error), seconds=time.perf_counter() - started)


def on_ray(*, cpus: int, gpus: int = 0) -> Machines:
    """Each job a Ray task, on the cluster that is there or else on this machine.

    The folder of a job has to be the same on all machines, on a disk that they share, and so has the data set.

    Args:
        cpus: processors that a task takes.
        gpus: GPUs that it takes.

    Raises:
        MissingDependencyError: Ray is not installed.
        RunError: Ray does not start, when the first jobs are to be done.
    """
    try:
        import ray
    except ImportError:
        raise MissingDependencyError.for_extra("ray", extra="ray", purpose="training on many machines") from None

    def machines(work: Work, jobs: Sequence[Job]) -> Iterator[tuple[Job, Attempt]]:
        if not ray.is_initialized():
            _begin(ray)
        # A worker that dies is a failed job: what killed it would kill it again.
        task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(attempt)
        waiting = {task.remote(work, job): job for job in jobs}
        try:
            while waiting:
                over, _ = ray.wait(list(waiting), num_returns=1)
                job = waiting.pop(over[0])
                try:
                    tried = ray.get(over[0])
                except ray.exceptions.RayError as error:
                    tried = Attempt(error=_reason(error))
                yield job, tried
        finally:
            # Only where the user stops is there anything left.
            for reference in waiting:
                ray.cancel(reference, force=True)

    return machines


def _begin(ray: Any) -> None:
    """Join the cluster that is there, or start one on this machine."""
    try:
        ray.init(log_to_driver=False)
    except Exception as error:  # Ray raises plain ones here
        raise RunError(
            f"Ray could not be started: {_reason(error)}; start it with: ray start --head, or leave --ray out"
        ) from None


def _reason(error: Exception) -> str:
    said = (str(error).splitlines() or [""])[0]
    return said if isinstance(error, SanderlingError) else f"{type(error).__name__}: {said}".removesuffix(": ")
