from __future__ import annotations

import dataclasses
import errno
import gc
import mmap
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sanderling.data import workers
from sanderling.data.augment import AugmentConfig
from sanderling.data.planning import WindowSettings, WindowTask
from sanderling.data.window import Window
from sanderling.data.workers import WorkerPool
from sanderling.errors import RunError
from sanderling.structures.artefact import PictureRule
from tests.support.painted_sets import painted_set
from tests.support.windows import epoch_windows

SETTINGS = WindowSettings(picture=PictureRule(size_hw=(32, 64)), augment=AugmentConfig(mosaic=0.5), seed=5)


@pytest.fixture
def task(tmp_path: Path) -> WindowTask:
    dataset = painted_set(tmp_path, [(40, 60), (61, 43)] * 3)
    return epoch_windows(dataset, (32, 64)).task(0)


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    """Its worker may be ended by a test."""
    pool = WorkerPool(1, settings=SETTINGS, rows=8)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def _working_pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(1, settings=SETTINGS, rows=8)
    yield pool
    pool.close()


@pytest.fixture
def working(_working_pool: WorkerPool) -> WorkerPool:
    """A pool for all tests that leave its worker alive."""
    _working_pool.ring[:] = 0
    return _working_pool


def test_a_worker_that_dies_while_it_draws_is_noticed(pool: WorkerPool, task: WindowTask) -> None:
    for _ in range(20):
        pool.submit(task, range(6))
    os.kill(_process(pool).pid, signal.SIGKILL)
    with pytest.raises(RunError, match="SIGKILL"):
        pool.drain()


def _process(pool: WorkerPool) -> subprocess.Popen[bytes]:
    return pool._workers[0][0]


def test_a_worker_draws_where_it_is_told(working: WorkerPool, task: WindowTask) -> None:
    rows = [7, 0, 1, 5, 3, 2]
    ticket = working.submit(task, rows)
    assert working.pending == 1
    found, labels, unreadable = working.receive()
    assert (found, unreadable, working.pending) == (ticket, {}, 0)
    window = Window(task, SETTINGS)
    assert labels is not None
    assert window.labels is not None
    assert (labels.boxes_xyxy == window.labels.boxes_xyxy).all()
    for sample, row in enumerate(rows):
        image = np.zeros((32, 64, 3), np.uint8)
        window.draw(sample, image)
        assert (working.ring[row] == image.reshape(-1)).all()
    assert not working.ring[[4, 6]].any()


def test_a_smaller_sample_lies_at_the_beginning_of_its_row(working: WorkerPool, task: WindowTask) -> None:
    task = dataclasses.replace(task, samples_hw=np.array([(32, 64), (16, 32), (32, 64), (8, 8), (32, 32), (16, 64)]))
    working.submit(task, range(6))
    working.receive()
    window = Window(task, SETTINGS)
    for sample, (height, width) in enumerate(task.samples_hw.tolist()):
        image = np.zeros((height, width, 3), np.uint8)
        window.draw(sample, image)
        assert (working.ring[sample, : image.size] == image.reshape(-1)).all()


def test_an_unreadable_window_comes_back_with_its_reasons(working: WorkerPool, task: WindowTask) -> None:
    for path in task.paths:
        Path(path).unlink()
    working.submit(task, range(6))
    _, labels, unreadable = working.receive()
    assert labels is None
    assert set(unreadable) == set(task.paths)
    assert all("no such picture" in reason for reason in unreadable.values())


def test_much_can_be_ordered_before_anything_is_fetched(working: WorkerPool, tmp_path: Path) -> None:
    # More bytes either way than a pipe holds: neither side may wait for the other.
    dataset = painted_set(tmp_path / "many", [(40, 60)] * 2)
    boxes = np.repeat(dataset.boxes_xyxy, 5000, axis=0)
    task = epoch_windows(dataset, (32, 64)).task(0)
    task = dataclasses.replace(
        task,
        mosaic=False,
        boxes_xyxy=boxes,
        labels=np.zeros(len(boxes), np.int64),
        first_box=np.array([0, len(boxes) // 2, len(boxes)]),
    )
    tickets = [working.submit(task, range(2)) for _ in range(8)]
    assert [working.receive()[0] for _ in tickets] == tickets


def test_draining_drops_what_was_ordered(working: WorkerPool, task: WindowTask) -> None:
    for _ in range(3):
        working.submit(task, range(6))
    working.drain()
    ticket = working.submit(task, range(6))
    assert working.receive()[0] == ticket


@pytest.mark.parametrize(
    ("how", "words"), [(signal.SIGKILL, "ended by SIGKILL.*out of memory"), (signal.SIGTERM, "ended by SIGTERM")]
)
def test_a_dead_worker_is_one_clear_error(pool: WorkerPool, task: WindowTask, how: signal.Signals, words: str) -> None:
    pool.submit(task, range(6))
    pool.receive()
    os.kill(_process(pool).pid, how)
    _process(pool).wait()
    with pytest.raises(RunError, match=words):
        pool.submit(task, range(6))


def test_a_fault_inside_a_worker_brings_its_trace(pool: WorkerPool, task: WindowTask) -> None:
    pool.submit(task, [0, 1, 2, 3, 4, 99])
    with pytest.raises(RunError, match=r"workers=0(.|\n)*IndexError"):
        pool.receive()


def test_a_fault_is_not_hidden_by_the_pipe_that_it_closed(pool: WorkerPool, task: WindowTask) -> None:
    pool.submit(task, [0, 1, 2, 3, 4, 99])
    _process(pool).wait()
    with pytest.raises(RunError, match=r"workers=0(.|\n)*IndexError"):
        pool.submit(task, range(6))


def test_a_broken_pipe_in_the_work_itself_is_a_fault_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: object) -> None:
        raise BrokenPipeError("of something else")

    monkeypatch.setattr(workers, "_work", work)
    monkeypatch.setattr(cv2, "setNumThreads", lambda threads: None)
    ours, theirs = multiprocessing.Pipe()
    with pytest.raises(SystemExit):
        workers.main(0, os.dup(theirs.fileno()))
    assert "BrokenPipeError: of something else" in ours.recv().trace


def test_a_job_that_cannot_be_read_reaches_the_worker_instead_of_leaving_it_waiting() -> None:
    class Full:
        def recv(self) -> None:
            raise MemoryError("no room for the job")

    jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
    workers._read_jobs(Full(), jobs)  # type: ignore[arg-type]
    assert isinstance(jobs.get(timeout=1), MemoryError)


def test_no_memory_for_the_ring_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    before = set(Path("/proc/self/fd").iterdir())
    for module, call in ((os, "memfd_create"), (os, "ftruncate"), (mmap, "mmap"), (subprocess, "Popen")):
        with monkeypatch.context() as patch:
            patch.setattr(module, call, full)
            with pytest.raises(RunError, match=r"1 data workers with room for 8 samples cannot .*Cannot allocate mem"):
                WorkerPool(1, settings=SETTINGS, rows=8)
    gc.collect()
    assert set(Path("/proc/self/fd").iterdir()) <= before


def test_closing_ends_the_processes_and_may_be_repeated(task: WindowTask) -> None:
    pool = WorkerPool(2, settings=SETTINGS, rows=8)
    processes = [process for process, _ in pool._workers]
    pool.submit(task, range(6))
    pool.close()
    pool.close()
    assert [process.returncode is not None for process in processes] == [True, True]


def test_a_pool_that_is_forgotten_ends_too(task: WindowTask) -> None:
    pool = WorkerPool(1, settings=SETTINGS, rows=8)
    process = _process(pool)
    del pool
    assert process.returncode is not None


ORPHANS = """
import sys, time
from sanderling.data.augment import AugmentConfig
from sanderling.data.planning import WindowSettings
from sanderling.data.workers import WorkerPool
from sanderling.structures.artefact import PictureRule
pool = WorkerPool(2, settings=WindowSettings(picture=PictureRule(), augment=AugmentConfig(), seed=0), rows=8)
print(*(process.pid for process, _ in pool._workers), flush=True)
time.sleep(60)
"""


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_no_worker_outlives_a_trainer_that_was_killed() -> None:
    # Also shows that the caller needs no `if __name__ == "__main__"`.
    with subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True) as trainer:
        assert trainer.stdout is not None
        pids = [int(word) for word in trainer.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(_runs, pids))
        trainer.kill()
    deadline = time.monotonic() + 20
    while any(map(_runs, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_runs, pids))
