"""Fills the samples of one epoch in order, in this process or by workers; both give the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from sanderling.data.picture_cache import PictureCache
from sanderling.data.planning import WindowLabels, WindowSettings, WindowTask
from sanderling.data.samplers import cut_windows
from sanderling.data.window import Window
from sanderling.data.workers import WorkerPool
from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError

Note = Callable[[dict[str, str]], None]
"""Takes path and reason of pictures that could not be decoded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Consecutive samples of one window."""

    labels: WindowLabels
    samples: range


class Drawing(Protocol):
    """Gives the samples of one epoch, batch after batch."""

    def fill(self, images: NDArray[np.uint8], positions: range) -> list[Piece]:
        """Draw the samples at these positions of the epoch, which follow the last ones and are of one size.

        Args:
            images: where they go, uint8 BxHxWx3.
            positions: B of them.

        Raises:
            DataError: no picture of the epoch can be decoded.
            RunError: a worker process died.
        """


class EpochWindows:
    """One epoch cut into windows.

    Attributes:
        windows: the positions of each.
    """

    def __init__(
        self,
        dataset: Dataset,
        order: NDArray[np.int64],
        samples_hw: NDArray[np.int64],
        *,
        epoch: int,
        mosaic: bool,
        progress: float,
        marks: NDArray[np.bool_] | None = None,
        draw_keys: NDArray[np.int64] | None = None,
    ) -> None:
        """Cut an epoch.

        Args:
            dataset: all pictures.
            order: int64 P, the picture of each position.
            samples_hw: int64 Px2, height and width of the sample at each position.
            epoch: its number.
            mosaic: False leaves mosaic out.
            progress: how much of the run is over, 0..1.
            marks: bool DxGxG, cells that are cut out of each picture of the data set.
            draw_keys: int64 P, above 0, what the random numbers of a window that begins at a position go by; None for
                an order without repetition, where they go by the picture.
        """
        self.windows = cut_windows(len(order))
        self._dataset, self._order, self._samples_hw = dataset, order, samples_hw
        self._epoch, self._mosaic, self._progress = epoch, mosaic, progress
        self._marks = marks
        self._draw_keys = 1 + order if draw_keys is None else draw_keys

    def task(self, number: int, attempt: int = 0) -> WindowTask:
        """What it takes to draw a window. A later attempt fills it with the pictures of the next window but so many.

        Raises:
            DataError: every window was tried.
        """
        if attempt >= len(self.windows):
            raise DataError(f"{self._dataset.name}: no picture of the split {self._dataset.split!r} can be decoded")
        source = self.windows[(number + attempt) % len(self.windows)]
        indices = np.resize(self._order[source.start : source.stop], len(self.windows[number]))
        chosen = self._dataset.subset(indices)
        return WindowTask(
            epoch=self._epoch,
            draw_key=int(self._draw_keys[self.windows[number].start]),
            mosaic=self._mosaic,
            progress=self._progress,
            marked=None if self._marks is None else self._marks[indices],
            samples_hw=self._samples_hw[self.windows[number].start : self.windows[number].stop],
            indices=indices,
            paths=tuple(chosen.picture_paths.tolist()),
            sizes_hw=chosen.sizes_hw,
            boxes_xyxy=chosen.boxes_xyxy,
            labels=chosen.labels,
            first_box=chosen.first_box,
        )


class DrawingHere:
    """Draws in this process, straight into the batch."""

    def __init__(
        self, epoch: EpochWindows, settings: WindowSettings, note: Note, cache: PictureCache | None = None
    ) -> None:
        self._epoch, self._settings, self._note, self._cache = epoch, settings, note, cache
        self._number = -1
        self._window: Window | None = None

    def fill(self, images: NDArray[np.uint8], positions: range) -> list[Piece]:
        """As the protocol says."""
        pieces: list[Piece] = []
        position = positions.start
        with _single_threaded_opencv():
            while position < positions.stop:
                if self._window is None or position >= self._epoch.windows[self._number].stop:
                    self._number += 1
                    self._window = None  # the old pictures go before the new ones come
                    self._window = self._readable(self._number)
                bounds = self._epoch.windows[self._number]
                end = min(bounds.stop, positions.stop)
                samples = range(position - bounds.start, end - bounds.start)
                for sample, image in zip(samples, images[position - positions.start :], strict=False):
                    self._window.draw(sample, image)
                assert self._window.labels is not None
                pieces.append(Piece(labels=self._window.labels, samples=samples))
                position = end
        return pieces

    def _readable(self, number: int) -> Window:
        attempt = 0
        while True:
            window = Window(self._epoch.task(number, attempt), self._settings, self._cache)
            self._note(window.unreadable)
            if window.labels is not None:
                return window
            attempt += 1


class DrawingByWorkers:
    """Hands windows to worker processes as far ahead as their ring has room, and copies finished samples out of it.

    The sample at position p lies in row p of the ring, modulo its length, and fills as much of it as it needs.
    """

    def __init__(self, epoch: EpochWindows, pool: WorkerPool, note: Note) -> None:
        self._epoch, self._pool, self._note = epoch, pool, note
        self._sent = 0
        self._attempts: dict[int, tuple[int, int]] = {}
        self._ready: dict[int, WindowLabels] = {}
        self._first = 0
        pool.drain()  # of what an epoch that was left early had ordered

    def fill(self, images: NDArray[np.uint8], positions: range) -> list[Piece]:
        """As the protocol says."""
        windows, ring = self._epoch.windows, self._pool.ring
        last = self._first
        while windows[last].stop < positions.stop:
            last += 1
        needed = range(self._first, last + 1)
        self._order_until(positions.start + len(ring))
        while not all(number in self._ready for number in needed):
            self._receive()

        begin = positions.start % len(ring)
        head = min(len(positions), len(ring) - begin)
        flat = images.reshape(len(positions), -1)
        flat[:head] = ring[begin : begin + head, : flat.shape[1]]
        flat[head:] = ring[: len(positions) - head, : flat.shape[1]]

        pieces = []
        for number in needed:
            bounds = windows[number]
            begin, end = max(bounds.start, positions.start), min(bounds.stop, positions.stop)
            samples = range(begin - bounds.start, end - bounds.start)
            pieces.append(Piece(labels=self._ready[number], samples=samples))
            if end == bounds.stop:
                del self._ready[number]
                self._first = number + 1
        # The rows just read are free: the workers go on while the batch is being used.
        self._order_until(positions.stop + len(ring))
        return pieces

    def _order_until(self, position: int) -> None:
        while self._sent < len(self._epoch.windows) and self._epoch.windows[self._sent].stop <= position:
            self._submit(self._sent, 0)
            self._sent += 1

    def _submit(self, number: int, attempt: int) -> None:
        rows = [position % len(self._pool.ring) for position in self._epoch.windows[number]]
        self._attempts[self._pool.submit(self._epoch.task(number, attempt), rows)] = number, attempt

    def _receive(self) -> None:
        ticket, labels, unreadable = self._pool.receive()
        number, attempt = self._attempts.pop(ticket)
        self._note(unreadable)
        if labels is None:
            self._submit(number, attempt + 1)
        else:
            self._ready[number] = labels


@contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """Keep OpenCV from starting threads beside torch's; the caller's setting comes back."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
