from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from sanderling import config
from sanderling.data.samplers import (
    LONGEST_WINDOW,
    WINDOW,
    ClassAwareSampling,
    EpochSampler,
    RepeatFactorSampling,
    SamplingConfig,
    UniformSampling,
    cut_windows,
)
from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError
from tests.support.scored import split_of

RARE = [[0], [0, 0, 1], [], [0], [0, 1], [0], [2, 0], [], [0], [0], [0, 0, 0]]
"""Classes of the boxes of each picture: 0 in nine, 1 in two, 2 in one, others in none; two pictures are empty."""
SAMPLINGS: list[SamplingConfig] = [
    UniformSampling(),
    UniformSampling(empty_share=0.4),
    UniformSampling(empty_share=0.0),
    ClassAwareSampling(),
    ClassAwareSampling(empty_share=0.25),
    RepeatFactorSampling(threshold=0.9),
    RepeatFactorSampling(threshold=0.5, empty_share=0.1),
]


def _dataset(labels: Sequence[Sequence[int]]) -> Dataset:
    names = tuple(f"class{number}" for number in range(6))
    return split_of([[(label, (1.0, 2.0, 9.0, 8.0)) for label in picture] for picture in labels], names)


def _sampler(pictures: int, sampling: SamplingConfig | None = None, **given: Any) -> EpochSampler:
    labels = [[0]] * pictures if sampling is None else [RARE[index % len(RARE)] for index in range(pictures)]
    groups = (sampling or UniformSampling()).build(_dataset(labels))
    return EpochSampler(groups=groups, **given)


def _seen(sampling: SamplingConfig, labels: Sequence[Sequence[int]], epochs: int) -> np.ndarray[Any, np.dtype[Any]]:
    """How often each picture is seen, (epochs, P)."""
    sampler = EpochSampler(groups=sampling.build(_dataset(labels)), batch=1, seed=3)
    return np.array([np.bincount(sampler.order(epoch), minlength=len(labels)) for epoch in range(epochs)])


@pytest.mark.parametrize(("pictures", "batch", "world"), [(100, 8, 1), (101, 8, 2), (37, 5, 3), (3, 8, 1), (5, 4, 3)])
@pytest.mark.parametrize("drop_last", [True, False])
def test_ranks_get_disjoint_shares_in_equally_many_batches(
    pictures: int, batch: int, world: int, drop_last: bool
) -> None:
    samplers = [
        _sampler(pictures, batch=batch, seed=1, rank=rank, world=world, drop_last=drop_last) for rank in range(world)
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


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_ranks_share_the_samples_of_an_epoch_whatever_the_sampling(sampling: SamplingConfig) -> None:
    whole = _sampler(53, sampling, batch=1, seed=1)
    ranks = [_sampler(53, sampling, batch=4, seed=1, rank=rank, world=3) for rank in range(3)]
    for epoch in range(3):
        orders = [sampler.order(epoch) for sampler in ranks]
        assert [len(order) for order in orders] == [len(ranks[0]) * 4] * 3
        assert len(whole.order(epoch)) == whole.samples
        # No sample of the epoch is given to two of them.
        left = Counter(whole.order(epoch).tolist())
        left.subtract(np.concatenate(orders).tolist())
        assert min(left.values()) >= 0
        assert sum(left.values()) < 4 * 3 + 3


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_no_two_samples_of_an_epoch_draw_alike(sampling: SamplingConfig) -> None:
    keys: list[int] = []
    for rank in range(3):
        sampler = _sampler(53, sampling, batch=4, seed=1, rank=rank, world=3)
        order = sampler.order(0)
        keys += sampler.draw_keys(order).tolist()
        if sampling == UniformSampling():
            assert (sampler.draw_keys(order) == 1 + order).all()
    assert len(set(keys)) == len(keys) >= 3 * 16
    assert min(keys) > 0


def test_fewer_pictures_than_ranks_still_give_each_one() -> None:
    orders = [_sampler(2, batch=4, seed=0, rank=rank, world=3).order(0).tolist() for rank in range(3)]
    assert [len(order) for order in orders] == [1, 1, 1]


def test_fewer_pictures_than_a_batch_give_one_smaller_batch() -> None:
    assert list(_sampler(5, batch=8, seed=0).batches()) == [range(5)]


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_order_depends_on_seed_and_epoch_only(sampling: SamplingConfig) -> None:
    orders = {
        (seed, epoch): _sampler(50, sampling, batch=5, seed=seed).order(epoch).tolist()
        for seed, epoch in itertools.product(range(3), range(3))
    }
    assert len({tuple(order) for order in orders.values()}) == 9
    longer = _sampler(50, sampling, batch=1, seed=1).order(2).tolist()
    assert orders[1, 2] == longer[: len(orders[1, 2])]


@pytest.mark.parametrize(("pictures", "seed", "epoch"), [(1, 0, 0), (50, 3, 7), (1001, 2**32 - 1, 299)])
def test_uniform_is_a_permutation_drawn_from_seed_and_epoch(pictures: int, seed: int, epoch: int) -> None:
    expected = np.random.default_rng((seed, epoch, 0)).permutation(pictures)
    order = _sampler(pictures, batch=1, seed=seed).order(epoch)
    assert order.dtype == np.int64
    assert order.tolist() == expected.tolist()


def test_uniform_shows_every_picture_once_with_objects_or_without() -> None:
    assert (_seen(UniformSampling(), RARE, 3) == 1).all()


def test_class_aware_follows_the_weights_of_its_source() -> None:
    labels = [*RARE, *RARE[:3]]
    shown_in = [sum(label in picture for picture in labels) for label in range(4)]
    weights = np.array([sum(1 / shown_in[label] for label in set(picture)) for picture in labels])
    seen = _seen(ClassAwareSampling(), labels, 1500)
    assert (seen.sum(1) == len(labels)).all()
    np.testing.assert_allclose(seen.mean(0), len(labels) * weights / weights.sum(), atol=0.2)
    # Drawn anew each time, so that numbers scatter as those of dice do.
    rarest = seen[:, 6]
    assert rarest.var() == pytest.approx(rarest.mean() * (1 - rarest.mean() / len(labels)), rel=0.15)
    assert not seen[:, [2, 7]].any()


def test_repeat_factors_are_those_of_lvis() -> None:
    labels, threshold = [[0]] * 90 + [[0, 1]] * 8 + [[1, 2]] * 2, 0.4
    factors = [1.0] * 90 + [2.0] * 8 + [(0.4 / 0.02) ** 0.5] * 2
    (group,) = RepeatFactorSampling(threshold=threshold).build(_dataset(labels))
    np.testing.assert_allclose(group.factors, factors)
    assert group.samples == round(sum(factors)) == 115
    seen = _seen(RepeatFactorSampling(threshold=threshold), labels, 400)
    assert (seen.sum(1) == 115).all()
    # 114.94 are rounded to 115, so that a fraction is met a little more often than it says.
    assert set(np.unique(seen[:, 98:]).tolist()) == {4, 5}
    assert seen[:, 98:].mean() == pytest.approx(factors[-1], abs=0.06)
    assert (seen[:, :98] >= np.floor(factors[:98])).all()
    assert len(np.unique(seen, axis=0)) > 1


def test_fractions_are_met_with_their_probability() -> None:
    labels = [[index] for index in range(6) for _ in range(index + 1)] + [[]] * 3
    sampling = RepeatFactorSampling(threshold=1.0)
    (group,) = sampling.build(_dataset(labels))
    seen = _seen(sampling, labels, 1000)
    expected = group.factors * group.samples / group.factors.sum()
    np.testing.assert_allclose(seen.mean(0), expected, atol=0.06)
    assert (np.abs(seen - expected) < 1).all()


def test_where_no_class_is_rare_repeat_factors_change_nothing() -> None:
    uniform, repeated = (_sampler(40, sampling, batch=4, seed=5) for sampling in (SAMPLINGS[0], RepeatFactorSampling()))
    assert repeated.order(2).tolist() == uniform.order(2).tolist()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", [UniformSampling, ClassAwareSampling, RepeatFactorSampling])
def test_the_share_of_empty_pictures_is_kept_in_every_epoch(kind: Any, share: float) -> None:
    labels = RARE * 4
    empty = [index for index, picture in enumerate(labels) if not picture]
    seen = _seen(kind(empty_share=share), labels, 40)
    assert (seen.sum(1) == len(labels)).all(), "the epoch keeps its length"
    assert (seen[:, empty].sum(1) == round(share * len(labels))).all()
    # None is preferred: they take turns.
    assert np.ptp(seen[:, empty], axis=1).max() <= 1
    if share == 0.1:
        assert (seen[:, empty].sum(0) > 0).all()


def test_other_pictures_gain_what_empty_ones_lose() -> None:
    labels = [[0]] * 30 + [[]] * 70
    seen = _seen(UniformSampling(empty_share=0.1), labels, 20)
    assert (seen[:, :30] == 3).all()
    assert set(np.unique(seen[:, 30:]).tolist()) == {0, 1}


def test_what_cannot_be_drawn_is_named() -> None:
    with pytest.raises(DataError, match=r"made up: sampling\.empty_share = 0\.2: every picture of the split 'val'"):
        UniformSampling(empty_share=0.2).build(_dataset([[0]] * 5))
    for sampling in (ClassAwareSampling(), UniformSampling(empty_share=0.5), RepeatFactorSampling(empty_share=0.0)):
        with pytest.raises(DataError, match="made up: no picture of the split 'val' has an object"):
            sampling.build(_dataset([[], []]))
    assert UniformSampling(empty_share=0.0).build(_dataset([[0]] * 5))[0].samples == 5
    assert RepeatFactorSampling().build(_dataset([[], []]))[0].samples == 2


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_sampling_survives_yaml(sampling: SamplingConfig) -> None:
    assert config.parse(type(sampling), config.load_yaml(config.dump(sampling), source="test")) == sampling


@pytest.mark.parametrize("positions", [1, 3, 15, 16, 17, 31, 32, 33, 100, 1000])
def test_windows_cover_the_order_and_none_is_short(positions: int) -> None:
    windows = cut_windows(positions)
    assert [position for window in windows for position in window] == list(range(positions))
    assert max(map(len, windows)) <= LONGEST_WINDOW
    assert min(map(len, windows)) >= min(positions, WINDOW)
