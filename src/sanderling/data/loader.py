"""Batches for training: the data set's pictures, varied, in a seeded order, drawn here or by worker processes.

Axes: B pictures of a batch, T their boxes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sanderling.data.augment import AugmentConfig
from sanderling.data.samplers import WINDOW, EpochSampler, cut_windows
from sanderling.data.window import Window, WindowLabels, WindowSettings, WindowTask
from sanderling.data.workers import WorkerPool
from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError
from sanderling.structures.artefact import PictureRule
from sanderling.structures.batch import Batch, Targets

logger = logging.getLogger(__name__)

UNREADABLE_SHOWN = 3
"""How many pictures an error names when none can be read."""


class TrainingLoader:
    """Gives the batches of an epoch; what it gives is a function of (seed, epoch, position) only.

    The number of workers changes nothing but the speed. Crowd regions are left out of the targets, as one box around
    many objects would teach a wrong shape; boxes marked difficult are kept. A picture that cannot be decoded is noted
    in `unreadable`, warned of once, and the next readable one of its window stands in for it.

    Attributes:
        dataset: what is loaded, without its crowd regions.
        unreadable: path to reason, of pictures met so far.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        picture: PictureRule,
        augment: AugmentConfig,
        batch: int,
        seed: int,
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
        drop_last: bool = True,
    ) -> None:
        """Prepare; worker processes start with the first epoch.

        Args:
            dataset: the split to train on.
            picture: size of the network input and how a picture is fitted to it.
            augment: how pictures are varied.
            batch: pictures of a batch on this rank.
            seed: of the order and of the variations.
            workers: processes besides this one; 0 draws in this one.
            rank: of this process among `world`, each of which gets a disjoint share.
            world: number of training processes.
            drop_last: leave out the pictures that fill no batch. Fewer pictures than a batch give one smaller batch.

        Raises:
            DataError: the data set has no pictures.
        """
        if len(dataset) == 0:
            raise DataError(f"{dataset.name}: the split {dataset.split!r} has no pictures; training needs at least one")
        self.dataset = _without_crowds(dataset)
        self.unreadable: dict[str, str] = {}
        self._settings = WindowSettings(picture=picture, augment=augment, seed=seed)
        self._sampler = EpochSampler(
            pictures=len(dataset), batch=batch, seed=seed, rank=rank, world=world, drop_last=drop_last
        )
        self._workers = workers
        self._pool: WorkerPool | None = None

    def __len__(self) -> int:
        """Batches in an epoch of this rank."""
        return len(self._sampler)

    def __enter__(self) -> TrainingLoader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker processes, if there are any."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def epoch(self, epoch: int, *, mosaic: bool = True) -> Iterator[Batch]:
        """The batches of one epoch. Take one epoch at a time: the next one ends it.

        Args:
            epoch: its number; it and the seed decide order and variations.
            mosaic: False leaves mosaic out whatever its probability, as is done in the last epochs.

        Yields:
            Batches on the CPU, images uint8 Bx3xHxW in channels_last memory.

        Raises:
            DataError: no picture of the data set can be decoded.
            RunError: a worker process died.
        """
        tasks = _EpochTasks(self.dataset, self._sampler.order(epoch), epoch=epoch, mosaic=mosaic)
        return self._drawn_by_workers(tasks) if self._workers else self._drawn_here(tasks)

    def _drawn_here(self, tasks: _EpochTasks) -> Iterator[Batch]:
        with _single_threaded_opencv():
            window, place = self._readable_window(tasks, 0), 0
        number = 0
        for positions in self._batches():
            images = self._empty(len(positions))
            rows = images.numpy()
            pieces: list[tuple[WindowLabels, range]] = []
            filled = 0
            with _single_threaded_opencv():
                while filled < len(positions):
                    if place == len(tasks.windows[number]):
                        number, place = number + 1, 0
                        window = self._readable_window(tasks, number)
                    begin = place
                    while filled < len(positions) and place < len(tasks.windows[number]):
                        window.draw(place, rows[filled])
                        filled, place = filled + 1, place + 1
                    pieces.append((window.labels, range(begin, place)))
            yield self._batch(images, pieces)

    def _drawn_by_workers(self, tasks: _EpochTasks) -> Iterator[Batch]:
        pool = self._running_pool()
        pool.drain()
        rows = len(pool.ring)
        windows = tasks.windows
        sent = 0
        tickets: dict[int, tuple[int, int]] = {}
        ready: dict[int, WindowLabels] = {}
        first = 0
        for positions in self._batches():
            pieces: list[tuple[WindowLabels, range]] = []
            # The windows that this batch is made of, and how far the ring has room for more.
            last = first
            while windows[last].stop < positions.stop:
                last += 1
            while True:
                while sent < len(windows) and windows[sent].stop - positions.start <= rows:
                    tickets[self._submit(pool, tasks, sent, 0)] = sent, 0
                    sent += 1
                if all(number in ready for number in range(first, last + 1)):
                    break
                ticket, labels, unreadable = pool.receive()
                number, attempt = tickets.pop(ticket)
                self._note(unreadable)
                if labels is None:
                    tickets[self._submit(pool, tasks, number, attempt + 1)] = number, attempt + 1
                else:
                    ready[number] = labels
            images = self._empty(len(positions))
            begin = positions.start % rows
            ring = torch.from_numpy(pool.ring)
            head = min(len(positions), rows - begin)
            images[:head] = ring[begin : begin + head]
            images[head:] = ring[: len(positions) - head]
            for number in range(first, last + 1):
                window = windows[number]
                begin, end = max(window.start, positions.start), min(window.stop, positions.stop)
                pieces.append((ready[number], range(begin - window.start, end - window.start)))
                if window.stop <= positions.stop:
                    del ready[number]
                    first = number + 1
            yield self._batch(images, pieces)

    def _submit(self, pool: WorkerPool, tasks: _EpochTasks, number: int, attempt: int) -> int:
        rows = [position % len(pool.ring) for position in tasks.windows[number]]
        return pool.submit(self._task(tasks, number, attempt), rows)

    def _running_pool(self) -> WorkerPool:
        if self._pool is None:
            # Room for the batch that is being used, the next one, and two windows per worker.
            rows = 2 * self._sampler.batch + 2 * self._workers * 2 * WINDOW
            self._pool = WorkerPool(self._workers, settings=self._settings, rows=rows)
        return self._pool

    def _readable_window(self, tasks: _EpochTasks, number: int) -> Window:
        attempt = 0
        while True:
            window = Window(self._task(tasks, number, attempt), self._settings)
            self._note(window.unreadable)
            if window.readable:
                return window
            attempt += 1

    def _task(self, tasks: _EpochTasks, number: int, attempt: int) -> WindowTask:
        if attempt >= len(tasks.windows):
            reasons = "; ".join(list(self.unreadable.values())[:UNREADABLE_SHOWN])
            raise DataError(f"{self.dataset.name}: no picture of {self.dataset.split!r} can be decoded: {reasons}")
        return tasks.task(number, attempt)

    def _note(self, unreadable: dict[str, str]) -> None:
        for path, reason in unreadable.items():
            if path not in self.unreadable:
                self.unreadable[path] = reason
                logger.warning("%s; another picture stands in for it", reason)

    def _batches(self) -> Iterator[range]:
        count, batch = self._sampler.positions, self._sampler.batch
        return (range(begin, min(begin + batch, count)) for begin in range(0, count, batch))

    def _empty(self, count: int) -> Tensor:
        height, width = self._settings.picture.size_hw
        return torch.empty((count, height, width, 3), dtype=torch.uint8)

    def _batch(self, images: Tensor, pieces: list[tuple[WindowLabels, range]]) -> Batch:
        cuts = [slice(labels.first_box[cut.start], labels.first_box[cut.stop]) for labels, cut in pieces]
        boxes = np.concatenate([labels.boxes_xyxy[cut] for (labels, _), cut in zip(pieces, cuts, strict=True)])
        classes = np.concatenate([labels.labels[cut] for (labels, _), cut in zip(pieces, cuts, strict=True)])
        counts = np.concatenate([np.diff(labels.first_box[cut.start : cut.stop + 1]) for labels, cut in pieces])
        indices = np.concatenate([labels.indices[cut.start : cut.stop] for labels, cut in pieces])
        return Batch(
            images=images.permute(0, 3, 1, 2),
            targets=Targets(
                boxes_xyxy=torch.from_numpy(boxes),
                labels=torch.from_numpy(classes),
                weights=torch.ones(len(boxes)),
                picture_index=torch.from_numpy(np.repeat(np.arange(len(counts)), counts)),
                pictures=len(counts),
            ),
            picture_ids=tuple(self.dataset.picture_id(index) for index in indices.tolist()),
        )


class _EpochTasks:
    """The windows of an epoch."""

    def __init__(self, dataset: Dataset, order: NDArray[np.int64], *, epoch: int, mosaic: bool) -> None:
        self.windows = cut_windows(len(order))
        self._dataset, self._order, self._epoch, self._mosaic = dataset, order, epoch, mosaic

    def task(self, number: int, attempt: int) -> WindowTask:
        """One window; a later attempt fills it with the pictures of a later window."""
        window = self.windows[number]
        source = self.windows[(number + attempt) % len(self.windows)]
        indices = np.resize(self._order[source.start : source.stop], len(window))
        chosen = self._dataset.subset(indices)
        return WindowTask(
            epoch=self._epoch,
            mosaic=self._mosaic,
            indices=indices,
            paths=tuple(chosen.picture_paths.tolist()),
            sizes_hw=chosen.sizes_hw,
            boxes_xyxy=chosen.boxes_xyxy,
            labels=chosen.labels,
            first_box=chosen.first_box,
        )


def _without_crowds(dataset: Dataset) -> Dataset:
    if not dataset.crowd.any():
        return dataset
    from dataclasses import replace

    kept = ~dataset.crowd
    first_box = np.concatenate([[0], np.cumsum(kept)])[dataset.first_box].astype(np.int64)
    names = ("boxes_xyxy", "areas", "labels", "crowd", "difficult")
    return replace(dataset, first_box=first_box, **{name: getattr(dataset, name)[kept] for name in names})


@contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """Keep OpenCV from starting threads beside torch's; the caller's setting comes back."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
