from __future__ import annotations

import itertools

import numpy as np
import pytest

from sanderling.data.samplers import LONGEST_WINDOW, WINDOW, EpochSampler, cut_windows


@pytest.mark.parametrize(("pictures", "batch", "world"), [(100, 8, 1), (101, 8, 2), (37, 5, 3), (3, 8, 1), (5, 4, 3)])
@pytest.mark.parametrize("drop_last", [True, False])
def test_ranks_get_disjoint_shares_in_equally_many_batches(
    pictures: int, batch: int, world: int, drop_last: bool
) -> None:
    samplers = [
        EpochSampler(pictures=pictures, batch=batch, seed=1, rank=rank, world=world, drop_last=drop_last)
        for rank in range(world)
    ]
    orders = [sampler.order(3) for sampler in samplers]
    assert len({len(sampler) for sampler in samplers}) == len({len(order) for order in orders}) == 1
    assert [len(list(sampler.batches())) for sampler in samplers] == [len(sampler) for sampler in samplers]
    seen = np.concatenate(orders)
    if drop_last:
        assert len(set(seen.tolist())) == len(seen)
        assert len(orders[0]) % batch == 0 or len(samplers[0]) == 1
    else:
        assert set(seen.tolist()) == set(range(pictures))
        assert len(seen) - pictures < world


def test_fewer_pictures_than_ranks_still_give_each_one() -> None:
    orders = [EpochSampler(pictures=2, batch=4, seed=0, rank=rank, world=3).order(0).tolist() for rank in range(3)]
    assert [len(order) for order in orders] == [1, 1, 1]


def test_fewer_pictures_than_a_batch_give_one_smaller_batch() -> None:
    assert list(EpochSampler(pictures=5, batch=8, seed=0).batches()) == [range(5)]


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    orders = {
        (seed, epoch): EpochSampler(pictures=50, batch=5, seed=seed).order(epoch).tolist()
        for seed, epoch in itertools.product(range(3), range(3))
    }
    assert len({tuple(order) for order in orders.values()}) == 9
    assert orders[1, 2] == EpochSampler(pictures=50, batch=10, seed=1).order(2).tolist()


@pytest.mark.parametrize("positions", [1, 3, 15, 16, 17, 31, 32, 33, 100, 1000])
def test_windows_cover_the_order_and_none_is_short(positions: int) -> None:
    windows = cut_windows(positions)
    assert [position for window in windows for position in window] == list(range(positions))
    assert max(map(len, windows)) <= LONGEST_WINDOW
    assert min(map(len, windows)) >= min(positions, WINDOW)
