"""Decoded pictures kept from one epoch to the next, in memory or on disk, within a budget. No torch.

One area that the trainer and its workers share, a table at its head: who decodes a picture first leaves it there. It is
anonymous memory, or a file without a name, so that it vanishes with its last user, also after SIGKILL. What is kept is
what decoding gave, so a cache changes nothing but the time.

Nobody locks anything. What one process writes another may see in another order, on ARM for one; so a picture counts in
later epochs only: between two epochs the trainer has heard from every worker that its windows are done, and what they
wrote before that is to be seen by whoever is told to go on. A sampling that repeats pictures decodes some of them
more than once at first. Axes: P pictures of the data set.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sanderling.data.augment import AugmentConfig
from sanderling.data.source import Source, decoded_size
from sanderling.errors import RunError
from sanderling.memory import address_space_left, available_memory
from sanderling.structures.artefact import PictureRule

_OFFSET, _ROOM, _HEIGHT, _WIDTH, _ORIGINAL_HEIGHT, _ORIGINAL_WIDTH, _REDUCTION_X, _REDUCTION_Y, _READY_IN = range(9)
_COLUMNS = 9
_SHARE_OF_WHAT_IS_FREE = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheConfig:
    """Where decoded pictures are kept, and how much of them."""

    where: Literal["ram", "disk"] = "ram"
    """In memory, or in a file that the operating system holds in memory as far as it has room."""
    gigabytes: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Budget in 10**9 bytes, of all training processes of this machine together; None takes half of what is free,
    within the limits of the control group and of `ulimit -v`."""
    folder: str | None = None
    """Where the file of `disk` lies; the system's folder for temporary files (TMPDIR) without it."""


class PictureCache:
    """The decoded pictures of a data set, as many as the budget has room for.

    Attributes:
        descriptor: of the shared area; a worker opens the same cache with it.
        size: bytes of the area.
    """

    def __init__(self, descriptor: int, pictures: int) -> None:
        """Open the area that `create` made, for a data set of so many pictures; the cache closes the descriptor.

        Raises:
            OSError: there are no addresses left for the area.
        """
        self.descriptor, self.size = descriptor, os.fstat(descriptor).st_size
        self._closing = weakref.finalize(self, os.close, descriptor)
        try:
            self._memory = mmap.mmap(descriptor, self.size)
        except OSError:
            self.close()
            raise
        area = np.frombuffer(self._memory, np.uint8)
        head = pictures * _COLUMNS * 8
        self._table: NDArray[np.float64] = area[:head].view(np.float64).reshape(pictures, _COLUMNS)
        self._pixels = area[head:]

    @classmethod
    def create(
        cls,
        config: CacheConfig,
        *,
        paths: Sequence[str],
        sizes_hw: NDArray[np.integer],
        rule: PictureRule,
        augment: AugmentConfig,
        processes: int = 1,
    ) -> PictureCache:
        """Lay out room for the pictures in their order until the budget is used up.

        Args:
            config: where, and how much.
            paths: P files.
            sizes_hw: Px2; a picture of unknown size (0, 0) is not kept.
            rule: the largest input size, and how a picture is fitted to it.
            augment: how pictures are varied.
            processes: that keep a cache of their own on this machine and share the budget.

        Raises:
            RunError: the folder has no room for the file, or the machine none for the area.
            UsageError: no budget is given, and the system does not tell how much memory is free.
        """
        rooms = np.array(
            [
                3 * int(np.prod(decoded_size((height, width), Path(path).suffix, rule, augment)))
                for path, (height, width) in zip(paths, np.asarray(sizes_hw).tolist(), strict=True)
            ],
            np.int64,
        )
        folder = Path(config.folder or tempfile.gettempdir())
        if config.gigabytes is not None:
            budget = config.gigabytes * 1e9
        else:
            budget = _free_bytes(config.where, folder) * _SHARE_OF_WHAT_IS_FREE
        ends = np.cumsum(rooms)
        rooms[ends > budget / processes] = 0
        table = np.zeros((len(rooms), _COLUMNS))
        table[:, _OFFSET], table[:, _ROOM] = np.cumsum(rooms) - rooms, rooms

        size = max(1, table.nbytes + int(rooms.sum()))
        try:
            descriptor = _anonymous_memory(size) if config.where == "ram" else _file_without_name(folder, size)
            cache = cls(descriptor, len(rooms))
        except OSError as error:
            place, remedy = "memory", ""
            if config.where == "disk":
                place, remedy = str(folder), "name another runtime.cache.folder, "
            raise RunError(
                f"{place}: no room for {size / 1e9:.1f} GB of decoded pictures ({error.strerror}); lower "
                f"runtime.cache.gigabytes, {remedy}or set runtime.cache to null"
            ) from None
        cache._table[:] = table
        return cache

    @property
    def room_for(self) -> int:
        """How many pictures the budget has room for."""
        return int(np.count_nonzero(self._table[:, _ROOM]))

    @property
    def kept(self) -> int:
        """How many are in it by now."""
        return int(np.count_nonzero(self._table[:, _READY_IN]))

    def get(self, picture: int, *, epoch: int) -> Source | None:
        """A picture by its place in the data set, its pixels not to be written to; None where it is not here.

        Nor is one that came in the same epoch, so that it need not have arrived whole in every process.
        """
        row = self._table[picture]
        if row[_READY_IN] in (0, epoch + 1):
            return None
        offset, height, width = int(row[_OFFSET]), int(row[_HEIGHT]), int(row[_WIDTH])
        return Source(
            picture=self._pixels[offset : offset + height * width * 3].reshape(height, width, 3),
            original_hw=(int(row[_ORIGINAL_HEIGHT]), int(row[_ORIGINAL_WIDTH])),
            reduction_xy=(float(row[_REDUCTION_X]), float(row[_REDUCTION_Y])),
        )

    def put(self, picture: int, source: Source, *, epoch: int) -> None:
        """Keep a picture, for the epochs after this one, if there is room for it."""
        row = self._table[picture]
        if row[_READY_IN] or source.picture.nbytes > row[_ROOM]:
            return
        offset = int(row[_OFFSET])
        self._pixels[offset : offset + source.picture.nbytes] = source.picture.reshape(-1)
        row[_HEIGHT:_READY_IN] = *source.picture.shape[:2], *source.original_hw, *source.reduction_xy
        row[_READY_IN] = epoch + 1

    def close(self) -> None:
        """Give the descriptor back; pictures that are in use stay readable."""
        self._closing()


def _anonymous_memory(size: int) -> int:
    """A descriptor of so many bytes that vanish when nobody has them open."""
    descriptor = os.memfd_create("sanderling-pictures")
    try:
        os.ftruncate(descriptor, size)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _file_without_name(folder: Path, size: int) -> int:
    """A descriptor of a file of that size that vanishes when nobody has it open."""
    with tempfile.TemporaryFile(dir=folder, prefix="pictures-") as file:
        os.posix_fallocate(file.fileno(), 0, size)
        return os.dup(file.fileno())


def _free_bytes(where: Literal["ram", "disk"], folder: Path) -> float:
    """What is free in memory or on the folder's disk, and no more than this process has addresses for."""
    if where == "ram":
        free = available_memory().size
    else:
        free = shutil.disk_usage(folder).free if folder.is_dir() else 0
    left = address_space_left()
    return free if left is None else min(free, left)
