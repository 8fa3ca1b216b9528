"""In which order pictures are seen, and how the order is cut into shares, batches and windows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW = 16
"""So many pictures or a few more are decoded together; a mosaic takes its partners among them."""

LONGEST_WINDOW = 2 * WINDOW - 1
"""How many they can be at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochSampler:
    """The order of one rank in every epoch; every rank gets as many batches as the others.

    Attributes:
        pictures: in the data set.
        batch: pictures of a batch on this rank.
        seed: of the whole run.
        rank: of this process, 0..world-1.
        world: number of processes; their shares of an epoch are disjoint.
        drop_last: leave out the pictures that fill no batch; else the last batch is smaller.
    """

    pictures: int
    batch: int
    seed: int
    rank: int = 0
    world: int = 1
    drop_last: bool = True

    @property
    def positions(self) -> int:
        """How many samples this rank sees in an epoch."""
        if self.drop_last:
            share = max(1, self.pictures // self.world)
            return share // self.batch * self.batch or share
        return -(-self.pictures // self.world)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(range(0, self.positions, self.batch))

    def batches(self) -> Iterator[range]:
        """The positions of each batch."""
        count, batch = self.positions, self.batch
        return (range(begin, min(begin + batch, count)) for begin in range(0, count, batch))

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The pictures of this rank in this epoch, int64."""
        order = np.random.default_rng((self.seed, epoch, 0)).permutation(self.pictures)
        # Where the shares do not come out even, the first pictures are seen twice.
        return order[(np.arange(self.positions) * self.world + self.rank) % self.pictures].astype(np.int64)


def cut_windows(positions: int, window: int = WINDOW) -> list[range]:
    """Cut an order into windows of nearly equal length, none shorter than `window` unless there is only one."""
    count = max(1, positions // window)
    bounds = [positions * index // count for index in range(count + 1)]
    return [range(begin, end) for begin, end in itertools.pairwise(bounds)]
