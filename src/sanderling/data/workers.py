"""Processes that draw windows of samples into memory they share with the trainer. No torch.

A worker is a fresh interpreter that runs `main` below: nothing is forked, the caller's main module is not imported
again (it needs no `if __name__ == "__main__"`), and torch is not loaded. Samples lie in a ring of anonymous shared
memory (`memfd`): it has no name that could be left behind, needs no room in /dev/shm, and vanishes with its last user,
also after SIGKILL. A worker ends when its pipe closes, so none outlives its trainer.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import traceback
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from sanderling.data.picture_cache import PictureCache
from sanderling.data.planning import WindowLabels, WindowSettings, WindowTask
from sanderling.data.window import Window
from sanderling.errors import RunError


@dataclass(frozen=True, kw_only=True, slots=True)
class _Start:
    """What a worker is told first."""

    settings: WindowSettings
    rows: int
    pictures: int
    """In the cache, where there is one."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Job:
    """A window and the rows of the ring that its samples go to; `ticket` tells the answer."""

    ticket: int
    task: WindowTask
    rows: Sequence[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Done:
    """A window is drawn: what its samples show, or None and the reasons when no picture could be read."""

    ticket: int
    labels: WindowLabels | None
    unreadable: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Failed:
    """The worker's own fault."""

    trace: str


class WorkerPool:
    """Some worker processes and their ring of samples.

    Attributes:
        ring: uint8 R rows that each have room for the largest sample, shared with the workers.
    """

    def __init__(
        self,
        workers: int,
        *,
        settings: WindowSettings,
        rows: int,
        cache: PictureCache | None = None,
        pictures: int = 0,
    ) -> None:
        """Start the processes.

        Args:
            workers: how many.
            settings: of all windows.
            rows: of the ring.
            cache: of decoded pictures, which the workers then share.
            pictures: of the data set that the cache is for.

        Raises:
            RunError: the machine has no room for the ring, or for another process.
        """
        self._workers: list[tuple[subprocess.Popen[bytes], Connection]] = []
        self._ending = weakref.finalize(self, _end, self._workers)
        try:
            descriptor = os.memfd_create("sanderling-samples")
            try:
                self.ring, self._memory = _map_ring(descriptor, settings, rows)
                for _ in range(workers):
                    self._workers.append(_start(descriptor, cache))
            finally:
                os.close(descriptor)
        except OSError as error:
            self.close()
            raise RunError(
                f"{workers} data workers with room for {rows} samples cannot start ({error.strerror}); use fewer "
                "workers, a smaller batch or a smaller input size"
            ) from None
        self._pending: list[set[int]] = [set() for _ in range(workers)]
        self._tickets = 0
        for worker in range(workers):
            self._send(worker, _Start(settings=settings, rows=rows, pictures=pictures))

    @property
    def pending(self) -> int:
        """Windows that were handed out and have not come back."""
        return sum(len(tickets) for tickets in self._pending)

    def submit(self, task: WindowTask, rows: Sequence[int]) -> int:
        """Hand a window to the worker with the least to do; its samples will go to these rows of the ring.

        Returns:
            The ticket that `receive` gives back with the result.
        """
        self._tickets += 1
        worker = min(range(len(self._workers)), key=lambda index: len(self._pending[index]))
        self._pending[worker].add(self._tickets)
        self._send(worker, _Job(ticket=self._tickets, task=task, rows=rows))
        return self._tickets

    def receive(self) -> tuple[int, WindowLabels | None, dict[str, str]]:
        """Wait for any window.

        Returns:
            Its ticket, what its samples show (None when no picture could be read), and path to reason of those
            pictures that could not be read.

        Raises:
            RunError: a worker died or failed.
        """
        connections = [connection for _, connection in self._workers]
        ready = cast(Connection, wait(connections)[0])
        worker = connections.index(ready)
        try:
            answer = ready.recv()
        except (EOFError, OSError):
            raise self._death(worker) from None
        if isinstance(answer, _Failed):
            raise _failure(worker, answer)
        self._pending[worker].discard(answer.ticket)
        return answer.ticket, answer.labels, answer.unreadable

    def drain(self) -> None:
        """Wait for all windows that were handed out and drop them."""
        while self.pending:
            self.receive()

    def close(self) -> None:
        """End the workers. The ring stays readable until it is no longer referred to."""
        self._ending()

    def _send(self, worker: int, message: _Start | _Job) -> None:
        try:
            self._workers[worker][1].send(message)
        except (BrokenPipeError, ConnectionResetError):
            raise self._death(worker) from None

    def _death(self, worker: int) -> RunError:
        process, connection = self._workers[worker]
        if (failed := _last_words(connection)) is not None:
            return _failure(worker, failed)
        try:
            code = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return RunError(f"data worker {worker} closed its pipe; start the run again, or with workers=0")
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        hint = "; the machine may be out of memory: use fewer workers" if code == -signal.SIGKILL else ""
        return RunError(f"data worker {worker} (process {process.pid}) {how}{hint}; --resume continues the run")


def _failure(worker: int, failed: _Failed) -> RunError:
    return RunError(f"data worker {worker} failed; run with workers=0 to see it in place:\n{failed.trace}")


def _last_words(connection: Connection) -> _Failed | None:
    """What a worker said of its own fault before it closed its pipe; it is behind all that was not fetched yet."""
    try:
        while connection.poll():
            if isinstance(answer := connection.recv(), _Failed):
                return answer
    except (EOFError, OSError):
        pass
    return None


def _map_ring(descriptor: int, settings: WindowSettings, rows: int) -> tuple[NDArray[np.uint8], mmap.mmap]:
    height, width = settings.picture.size_hw
    row = height * width * 3
    os.ftruncate(descriptor, rows * row)
    memory = mmap.mmap(descriptor, rows * row)
    return np.frombuffer(memory, np.uint8).reshape(rows, row), memory


def _start(ring: int, cache: PictureCache | None) -> tuple[subprocess.Popen[bytes], Connection]:
    ours, theirs = socket.socketpair()
    kept = () if cache is None else (cache.descriptor,)
    search_path = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import main; main{(ring, theirs.fileno(), *kept)}"],
            pass_fds=(ring, theirs.fileno(), *kept),
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": search_path},
            process_group=0,  # Ctrl-C is the trainer's to handle; it then closes the pipe
        )
        return process, Connection(ours.detach())


def _end(workers: Sequence[tuple[subprocess.Popen[bytes], Connection]]) -> None:
    for _, connection in workers:
        connection.close()
    for process, _ in workers:
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _work(descriptor: int, connection: Connection, kept: int | None) -> None:
    """Draw windows until the pipe closes."""
    try:
        start = connection.recv()
    except (EOFError, OSError):
        return
    cache = None if kept is None else PictureCache(kept, start.pictures)
    ring, _ = _map_ring(descriptor, start.settings, start.rows)
    os.close(descriptor)
    jobs: queue.SimpleQueue[_Job | Exception | None] = queue.SimpleQueue()
    # Jobs are taken off the pipe at once: two sides that both wait for room to send would wait for ever.
    threading.Thread(target=_read_jobs, args=(connection, jobs), daemon=True).start()
    while (job := jobs.get()) is not None:
        if isinstance(job, Exception):
            raise job
        window = Window(job.task, start.settings, cache)
        if window.labels is not None:
            for sample, (row, (height, width)) in enumerate(zip(job.rows, job.task.samples_hw.tolist(), strict=True)):
                window.draw(sample, ring[row, : height * width * 3].reshape(height, width, 3))
        try:
            connection.send(_Done(ticket=job.ticket, labels=window.labels, unreadable=window.unreadable))
        except (BrokenPipeError, ConnectionResetError):
            return


def _read_jobs(connection: Connection, jobs: queue.SimpleQueue[_Job | Exception | None]) -> None:
    try:
        while True:
            jobs.put(connection.recv())
    except (EOFError, OSError):
        jobs.put(None)
    except Exception as error:  # no memory to read into
        jobs.put(error)


def main(ring: int, pipe: int, cache: int | None = None) -> None:
    """What a worker process runs, with the file descriptors of the ring, of its end of the pipe and of the cache."""
    cv2.setNumThreads(0)
    connection = Connection(pipe)
    try:
        _work(ring, connection, cache)
    except Exception:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(_Failed(trace=traceback.format_exc()))
        sys.exit(1)
