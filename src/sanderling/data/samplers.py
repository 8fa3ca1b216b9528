"""Which pictures an epoch shows and in which order, and how the order is cut into shares, batches and windows.

Axes: P pictures of the data set, G pictures of a group.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError

WINDOW = 16
"""So many pictures or a few more are decoded together; a mosaic takes its partners among them."""

LONGEST_WINDOW = 2 * WINDOW - 1
"""How many they can be at most."""

Floats = NDArray[np.float64]
EmptyShare = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PictureGroup:
    """Pictures that share a number of samples of every epoch.

    Attributes:
        pictures: int64 G, their places in the data set.
        factors: float64 G, how often each is seen in an epoch, in proportion to the others.
        samples: of an epoch, the same in each.
        independent: every sample is drawn anew, so that chance alone decides how often a picture is seen; else each is
            seen as often as its factor says, rounded up or down by chance.
    """

    pictures: NDArray[np.int64]
    factors: Floats
    samples: int
    independent: bool = False

    @property
    def repeats(self) -> bool:
        """Whether an epoch may show a picture several times."""
        return self.independent or bool(self.factors.max() * self.samples > self.factors.sum())

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """The samples of one epoch in no order of their own; uses no chance where every factor is a whole number."""
        if self.independent:
            return rng.choice(self.pictures, self.samples, p=self.factors / self.factors.sum())
        expected = self.factors * (self.samples / self.factors.sum())
        times = np.floor(expected).astype(np.int64)
        if missing := self.samples - int(times.sum()):
            # Even marks on a line of all fractions, in a new order each time: each picture is met with a probability
            # that is its fraction, and their number is always the same.
            turn = rng.permutation(len(times))
            ends = np.cumsum((expected - times)[turn])
            marks = (np.arange(missing) + rng.random()) * (ends[-1] / missing)
            met = np.searchsorted(ends, marks, side="right").clip(max=len(turn) - 1)
            np.add.at(times, turn[met], 1)
        return np.repeat(self.pictures, times)


@dataclass(frozen=True, kw_only=True, slots=True)
class UniformSampling:
    """Every picture once in an epoch."""

    kind: Literal["uniform"] = "uniform"
    empty_share: EmptyShare | None = None
    """Share of an epoch's samples that are pictures without objects; null leaves them as they come. The epoch keeps its
    length: where they are fewer or more than that, they and the other pictures are seen more or less often."""

    def build(self, dataset: Dataset) -> tuple[PictureGroup, ...]:
        """What an epoch of this data set is made of.

        Raises:
            DataError: a share of pictures without objects is asked for and there are none, or no others.
        """
        return _with_empty_share(dataset, np.ones(len(dataset)), len(dataset), self.empty_share)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassAwareSampling:
    """As many samples as pictures, each drawn anew; pictures of rare classes are likelier.

    The weight of a picture is the sum, over the classes in it, of one by the number of pictures that show the class, as
    in PaddleDetection 0.5's `data/reader.py`. Pictures without objects weigh nothing: they come by `empty_share` only.
    """

    kind: Literal["class_aware"] = "class_aware"
    empty_share: EmptyShare | None = None
    """Share of an epoch's samples that are pictures without objects; null is as good as 0 here."""

    def build(self, dataset: Dataset) -> tuple[PictureGroup, ...]:
        """What an epoch of this data set is made of.

        Raises:
            DataError: there is no object, or a share of pictures without any is asked for and there are none.
        """
        pictures, labels, shown_in = _classes_of_pictures(dataset)
        weights = np.bincount(pictures, 1 / shown_in[labels], minlength=len(dataset)).astype(np.float64)
        return _with_empty_share(dataset, weights, len(dataset), self.empty_share or 0.0, independent=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class RepeatFactorSampling:
    """Every picture about once in an epoch, those of rare classes more often.

    LVIS, https://arxiv.org/abs/1908.03195: a class that a share f of the pictures shows has the factor
    max(1, sqrt(threshold / f)), a picture the largest factor of its classes, and fractions are rounded by chance anew
    in each epoch. An epoch has as many samples as all factors together, rounded: the same number each time, so that
    schedules can rely on it. Where that rounds down, a picture that is not repeated may be left out of an epoch.
    """

    kind: Literal["repeat_factor"] = "repeat_factor"
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.001
    """Classes that a smaller share of the pictures shows are repeated. Small data sets need far more than LVIS's 0.001,
    for example 0.3."""
    empty_share: EmptyShare | None = None
    """Share of an epoch's samples that are pictures without objects; null leaves them as they come, about once each."""

    def build(self, dataset: Dataset) -> tuple[PictureGroup, ...]:
        """What an epoch of this data set is made of.

        Raises:
            DataError: a share of pictures without objects is asked for and there are none, or no others.
        """
        pictures, labels, shown_in = _classes_of_pictures(dataset)
        of_class = np.sqrt(self.threshold * len(dataset) / np.maximum(shown_in, 1)).clip(min=1)
        factors = np.ones(len(dataset))
        np.maximum.at(factors, pictures, of_class[labels])
        return _with_empty_share(dataset, factors, round(float(factors.sum())), self.empty_share)


SamplingConfig = Annotated[
    UniformSampling | ClassAwareSampling | RepeatFactorSampling,
    Field(discriminator="kind"),
]
UNIFORM = UniformSampling()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EpochSampler:
    """The order of one rank in every epoch; every rank gets as many batches as the others.

    Attributes:
        groups: what an epoch is made of.
        batch: pictures of a batch on this rank.
        seed: of the whole run.
        rank: of this process, 0..world-1.
        world: number of processes; their shares of an epoch's samples are disjoint, and so are their pictures as far
            as none is seen twice.
        drop_last: leave out the samples that fill no batch; else the last batch is smaller.
    """

    groups: tuple[PictureGroup, ...]
    batch: int
    seed: int
    rank: int = 0
    world: int = 1
    drop_last: bool = True

    @property
    def samples(self) -> int:
        """Of an epoch, over all ranks, before any is left out."""
        return sum(group.samples for group in self.groups)

    @property
    def positions(self) -> int:
        """How many samples this rank sees in an epoch."""
        if self.drop_last:
            share = max(1, self.samples // self.world)
            return share // self.batch * self.batch or share
        return -(-self.samples // self.world)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(range(0, self.positions, self.batch))

    def batches(self) -> Iterator[range]:
        """The positions of each batch."""
        count, batch = self.positions, self.batch
        return (range(begin, min(begin + batch, count)) for begin in range(0, count, batch))

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The pictures of this rank in this epoch, int64."""
        rng = np.random.default_rng((self.seed, epoch, 0))
        order = rng.permutation(np.concatenate([group.draw(rng) for group in self.groups]))
        # Where the shares do not come out even, the first samples are seen twice.
        return order[self._places % len(order)].astype(np.int64)

    def draw_keys(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """A number above 0 for each sample of an order, for what is drawn by lot for it.

        The picture, where an epoch shows each once (around its end a few twice); else the place in the order of all
        ranks.
        """
        return 1 + (self._places if any(group.repeats for group in self.groups) else order)

    @property
    def _places(self) -> NDArray[np.int64]:
        """Where this rank's samples stand in the order of all ranks, around its end."""
        return np.arange(self.positions) * self.world + self.rank


def cut_windows(positions: int, window: int = WINDOW) -> list[range]:
    """Cut an order into windows of nearly equal length, none shorter than `window` unless there is only one."""
    count = max(1, positions // window)
    bounds = [positions * index // count for index in range(count + 1)]
    return [range(begin, end) for begin, end in itertools.pairwise(bounds)]


def _with_empty_share(
    dataset: Dataset, factors: Floats, samples: int, share: float | None, *, independent: bool = False
) -> tuple[PictureGroup, ...]:
    """All pictures (P factors) as one group; or those with objects and those without, in the share asked for."""
    if share is None:
        everything = np.arange(len(dataset))
        return (PictureGroup(pictures=everything, factors=factors, samples=samples, independent=independent),)
    holds = np.diff(dataset.first_box) > 0
    shown, empty = np.flatnonzero(holds), np.flatnonzero(~holds)
    if not len(shown):
        raise DataError(
            f"{dataset.name}: no picture of the split {dataset.split!r} has an object; sampling needs some, set "
            "sampling.kind=uniform and sampling.empty_share=null"
        )
    if share > 0 and not len(empty):
        raise DataError(
            f"{dataset.name}: sampling.empty_share = {share}: every picture of the split {dataset.split!r} has "
            "objects; add pictures without any, or set sampling.empty_share=null"
        )
    of_empty = round(share * samples)
    groups = (
        PictureGroup(pictures=shown, factors=factors[shown], samples=samples - of_empty, independent=independent),
        PictureGroup(pictures=empty, factors=np.ones(len(empty)), samples=of_empty),
    )
    return tuple(group for group in groups if group.samples)


def _classes_of_pictures(dataset: Dataset) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Every pair of a picture and a class that it shows, once; and how many pictures show each class."""
    classes = len(dataset.class_names)
    pictures = np.repeat(np.arange(len(dataset)), np.diff(dataset.first_box))
    pairs = np.unique(pictures * classes + dataset.labels)
    pictures, labels = pairs // classes, pairs % classes
    return pictures, labels, np.bincount(labels, minlength=classes)
