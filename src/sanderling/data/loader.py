"""Batches for training: the data set's pictures, varied, in a seeded order, drawn here or by worker processes.

Axes: B pictures of a batch, T their boxes.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from types import TracebackType

import numpy as np
import torch
from numpy.typing import NDArray

from sanderling.data.augment import AugmentConfig
from sanderling.data.drawing import Drawing, DrawingByWorkers, DrawingHere, EpochWindows, Piece
from sanderling.data.picture_cache import CacheConfig, PictureCache
from sanderling.data.planning import WindowSettings
from sanderling.data.samplers import LONGEST_WINDOW, UNIFORM, EpochSampler, SamplingConfig
from sanderling.data.workers import WorkerPool
from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError
from sanderling.structures.artefact import PictureRule
from sanderling.structures.batch import Batch, Targets

logger = logging.getLogger(__name__)


class TrainingLoader:
    """Gives the batches of an epoch; what it gives is a function of seed, epoch, position and marks only.

    The number of workers changes nothing but the speed. Crowd regions are left out of the targets, as one box around
    many objects would teach a wrong shape; boxes marked difficult are kept. A picture that cannot be decoded is noted
    in `unreadable`, warned of once, and the next readable one of its window stands in for it.

        with TrainingLoader(dataset, picture=rule, augment=AugmentConfig(), batch=32, seed=0, workers=2) as loader:
            for batch in loader.epoch(1):
                ...

    Attributes:
        dataset: what is loaded, without its crowd regions.
        unreadable: path to reason, of the pictures met so far that could not be decoded.
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
        local_world: int = 1,
        drop_last: bool = True,
        sampling: SamplingConfig = UNIFORM,
        cache: CacheConfig | None = None,
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
            local_world: how many of them run on this machine and share the budget of the cache.
            drop_last: leave out the pictures that fill no batch. Fewer pictures than a batch give one smaller batch.
            sampling: how often each picture is seen in an epoch.
            cache: keeps decoded pictures from one epoch to the next; None decodes them in every epoch.

        Raises:
            DataError: the data set has no pictures, or none that the sampling needs.
        """
        if len(dataset) == 0:
            raise DataError(f"{dataset.name}: the split {dataset.split!r} has no pictures; training needs at least one")
        self.dataset = _without_crowds(dataset)
        self.unreadable: dict[str, str] = {}
        fixed = np.array([picture.size_hw])
        self._sizes_hw = fixed if augment.sizes is None else augment.sizes.sizes_hw(picture.size_hw)
        height, width = self._sizes_hw.max(axis=0).tolist()
        largest = dataclasses.replace(picture, size_hw=(height, width))
        self._settings = WindowSettings(picture=largest, augment=augment, seed=seed)
        groups = sampling.build(self.dataset)
        self._sampler = EpochSampler(groups=groups, batch=batch, seed=seed, rank=rank, world=world, drop_last=drop_last)
        self._workers = workers
        self._cache_config = cache
        self._cache: PictureCache | None = None
        self._local_world = local_world
        self._pool: WorkerPool | None = None
        self._current: Drawing | None = None

    def __len__(self) -> int:
        """Batches in an epoch of this rank, the same in every epoch."""
        return len(self._sampler)

    def __enter__(self) -> TrainingLoader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def cache_bytes(self) -> int:
        """What the cache of decoded pictures takes once it is full; 0 without one, and before the first epoch."""
        return 0 if self._cache is None else self._cache.size

    def close(self) -> None:
        """End the worker processes, if there are any; the next epoch would start new ones."""
        self._current = None
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        if self._cache is not None:
            self._cache.close()
            self._cache = None

    def epoch(
        self, epoch: int, *, mosaic: bool = True, progress: float = 0.0, marks: NDArray[np.bool_] | None = None
    ) -> Iterator[Batch]:
        """The batches of one epoch. An epoch may be left early; the beginning of the next one ends it.

        Args:
            epoch: its number, from 0; it and the seed decide order and variations.
            mosaic: False leaves mosaic out whatever its probability, as is done in the last epochs.
            progress: how much of the run is over, 0..1; some variations begin or end with it.
            marks: bool DxGxG, the cells over each of the D pictures of the data set that activation cutout takes out of
                samples that show it alone; None takes out nothing.

        Yields:
            Batches on the CPU, images uint8 Bx3xHxW in channels_last memory that nothing else writes to.

        Raises:
            DataError: no picture of the data set can be decoded.
            RunError: a worker process died, or there is no room for the cache or the workers.
        """
        sizes_hw = self._sizes_of_batches(epoch)
        order = self._sampler.order(epoch)
        windows = EpochWindows(
            self.dataset,
            order,
            sizes_hw[np.arange(self._sampler.positions) // self._sampler.batch],
            epoch=epoch,
            mosaic=mosaic,
            progress=progress,
            marks=marks,
            draw_keys=self._sampler.draw_keys(order),
        )
        self._open_cache()
        drawing: Drawing
        if self._workers:
            drawing = DrawingByWorkers(windows, self._running_pool(), self._note)
        else:
            drawing = DrawingHere(windows, self._settings, self._note, self._cache)
        self._current = drawing
        for positions, (height, width) in zip(self._sampler.batches(), sizes_hw.tolist(), strict=True):
            if self._current is not drawing:
                raise RuntimeError(f"epoch {epoch} ended when another one began or the loader was closed")
            images = torch.empty((len(positions), height, width, 3), dtype=torch.uint8)
            pieces = drawing.fill(images.numpy(), positions)
            yield self._batch(images.permute(0, 3, 1, 2), pieces)

    def _sizes_of_batches(self, epoch: int) -> NDArray[np.int64]:
        """Height and width (Mx2) of the samples of each batch of this rank."""
        rng = np.random.default_rng((self._settings.seed, epoch, 0, 1, self._sampler.rank))
        return self._sizes_hw[rng.integers(len(self._sizes_hw), size=len(self._sampler))]

    def _open_cache(self) -> None:
        if self._cache_config is None or self._cache is not None:
            return
        self._cache = PictureCache.create(
            self._cache_config,
            paths=self.dataset.picture_paths.tolist(),
            sizes_hw=self.dataset.sizes_hw,
            rule=self._settings.picture,
            augment=self._settings.augment,
            processes=self._local_world,
        )
        logger.info(
            "cache of decoded pictures (%s): room for %d of %d",
            self._cache_config.where,
            self._cache.room_for,
            len(self.dataset),
        )

    def _running_pool(self) -> WorkerPool:
        if self._pool is None:
            # The batch that is being filled and the next one, or two windows for every worker if that is more.
            rows = self._sampler.batch + max(self._sampler.batch, 2 * LONGEST_WINDOW * self._workers)
            self._pool = WorkerPool(
                self._workers, settings=self._settings, rows=rows, cache=self._cache, pictures=len(self.dataset)
            )
        return self._pool

    def _note(self, unreadable: dict[str, str]) -> None:
        for path, reason in unreadable.items():
            if path not in self.unreadable:
                self.unreadable[path] = reason
                logger.warning("%s; another picture stands in for it", reason)

    def _batch(self, images: torch.Tensor, pieces: Sequence[Piece]) -> Batch:
        bounds = [piece.labels.first_box[piece.samples.start : piece.samples.stop + 1] for piece in pieces]
        cuts = [(piece.labels, slice(first[0], first[-1])) for piece, first in zip(pieces, bounds, strict=True)]
        boxes = np.concatenate([labels.boxes_xyxy[cut] for labels, cut in cuts])
        counts = np.concatenate([np.diff(first) for first in bounds])
        pictures = [piece.labels.indices[piece.samples.start : piece.samples.stop] for piece in pieces]
        placements = [piece.labels.placements[piece.samples.start : piece.samples.stop] for piece in pieces]
        return Batch(
            images=images,
            targets=Targets(
                boxes_xyxy=torch.from_numpy(boxes),
                labels=torch.from_numpy(np.concatenate([labels.labels[cut] for labels, cut in cuts])),
                weights=torch.from_numpy(np.concatenate([labels.weights[cut] for labels, cut in cuts])),
                picture_index=torch.from_numpy(np.repeat(np.arange(len(counts)), counts)),
                pictures=len(counts),
            ),
            picture_ids=tuple(self.dataset.picture_id(index) for index in np.concatenate(pictures).tolist()),
            placements=torch.from_numpy(np.concatenate(placements).astype(np.float32)),
        )


def _without_crowds(dataset: Dataset) -> Dataset:
    if not dataset.crowd.any():
        return dataset
    kept = ~dataset.crowd
    return dataclasses.replace(
        dataset,
        first_box=np.concatenate([[0], np.cumsum(kept)])[dataset.first_box].astype(np.int64),
        boxes_xyxy=dataset.boxes_xyxy[kept],
        areas=dataset.areas[kept],
        labels=dataset.labels[kept],
        crowd=dataset.crowd[kept],
        difficult=dataset.difficult[kept],
    )
