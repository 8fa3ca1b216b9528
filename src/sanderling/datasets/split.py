"""Divide a data set into splits: seeded, every class spread evenly, groups and identical pictures kept together.

Iterative stratification (Sechidis, Tsoumakas, Vlahavas, 2011, "On the Stratification of Multi-Label Data") over groups
of pictures: the rarest class is dealt out first, each group to the split that lacks most of it.
Axes: G groups, C classes, S splits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.convert import Conversion, write
from sanderling.datasets.dataset import Dataset, join
from sanderling.datasets.finding import Finding
from sanderling.datasets.labels import DataFormat
from sanderling.datasets.locate import open_all
from sanderling.datasets.picture_file import examine_all
from sanderling.datasets.rules import found
from sanderling.errors import DataError, UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitOutcome:
    """What was written.

    Attributes:
        written: the new COCO data set.
        groups: number of groups in each split.
        objects: objects by split and class.
    """

    written: Conversion
    groups: dict[str, int]
    objects: dict[str, dict[str, int]]

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.written.to_plain(), "groups": dict(self.groups), "objects": self.objects}


def split(
    path: Path,
    *,
    output: Path,
    fractions: Mapping[str, float],
    seed: int,
    group_by: str | None = None,
    data_format: DataFormat | None = None,
) -> SplitOutcome:
    """Pool all splits of a data set, divide it anew and write it as COCO with linked pictures.

    Args:
        path: the data set.
        output: the new folder.
        fractions: split name to share of the pictures; the shares add up to 1.
        seed: the same seed gives the same splits.
        group_by: `folder`, or a pattern searched in the file name whose first group (or whole match) names the group:
            pictures of one group stay together. Without it only pictures with the same pixels do.
        data_format: as for `open_dataset`.

    Raises:
        UsageError: shares that do not add up, a bad pattern, or an existing `output`.
        DataError: the data set cannot be read, or there are fewer groups than splits.
    """
    _check_fractions(fractions)
    pool = join(open_all(path, data_format=data_format), split="")
    # A picture may stand in several splits of the source, as in VOC's trainval.
    _, first = np.unique(pool.picture_paths, return_index=True)
    pool = pool.subset(np.sort(first))
    facts = list(examine_all([Path(text) for text in pool.picture_paths.tolist()]))
    usable = [index for index, entry in enumerate(facts) if not entry.fault]
    unusable = tuple(_about(pool, index, entry.fault, entry.value) for index, entry in enumerate(facts) if entry.fault)
    pool = replace(pool.subset(usable), skipped=(*pool.skipped, *unusable))
    digests = [facts[index].pixels_digest for index in usable]
    groups = grouped(_group_names(pool, group_by), digests)
    if groups.max(initial=-1) + 1 < len(fractions):
        raise DataError(
            f"{path}: {groups.max(initial=-1) + 1} groups of pictures cannot fill {len(fractions)} splits; "
            "group less coarsely or ask for fewer splits"
        )
    chosen = assign(_group_counts(pool, groups), list(fractions.values()), seed=seed)[groups]
    parts = [
        replace(pool.subset(np.flatnonzero(chosen == number)), split=name, skipped=pool.skipped if number == 0 else ())
        for number, name in enumerate(fractions)
    ]
    return SplitOutcome(
        written=write(parts, to="coco", output=output),
        groups={name: len(set(groups[chosen == number].tolist())) for number, name in enumerate(fractions)},
        objects={
            part.split: {name: int((part.labels == label).sum()) for label, name in enumerate(part.class_names)}
            for part in parts
        },
    )


def grouped(names: Sequence[str], digests: Sequence[str]) -> NDArray[np.int64]:
    """Number the groups: pictures that share a name or a digest, directly or through others, share a number.

    >>> grouped(["a", "b", "c"], ["x", "x", "y"]).tolist()
    [0, 0, 1]
    """
    leader = list(range(len(names)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, (name, digest) in enumerate(zip(names, digests, strict=True)):
        for key in (("name", name), ("digest", digest)):
            low, high = sorted((find(first.setdefault(key, index)), find(index)))
            leader[high] = low
    _, numbers = np.unique([find(index) for index in range(len(names))], return_inverse=True)
    return np.asarray(numbers, np.int64)


def assign(counts: NDArray[np.int64], fractions: Sequence[float], *, seed: int) -> NDArray[np.int64]:
    """Give each group a split.

    Args:
        counts: GxC, how much of each class (or other trait) a group holds; the last column counts its pictures.
        fractions: S shares.
        seed: decides between equals.

    Returns:
        G numbers of splits; no split stays empty when there are as many groups as splits.
    """
    generator = np.random.default_rng(seed)
    shares = np.asarray(fractions, np.float64)
    wanted = shares[:, None] * counts.sum(axis=0)
    chosen = np.full(len(counts), -1, np.int64)
    shuffled = generator.permutation(len(counts))
    # Pictures come last: that column holds what no class has claimed, the backgrounds.
    for trait in [*np.argsort(counts[:, :-1].sum(axis=0), kind="stable").tolist(), counts.shape[1] - 1]:
        open_groups = shuffled[(chosen[shuffled] < 0) & (counts[shuffled, trait] > 0)]
        for group in open_groups[np.argsort(-counts[open_groups, trait], kind="stable")].tolist():
            best = np.lexsort((generator.random(len(shares)), wanted[:, -1], wanted[:, trait]))[-1]
            chosen[group] = best
            wanted[best] -= counts[group]
    return _none_empty(chosen, counts, len(shares))


def _none_empty(chosen: NDArray[np.int64], counts: NDArray[np.int64], splits_wanted: int) -> NDArray[np.int64]:
    """Move the smallest group of the fullest split to each split that got nothing."""
    for number in range(splits_wanted):
        if (chosen == number).any():
            continue
        members = np.bincount(chosen, minlength=splits_wanted)
        donors = np.flatnonzero(chosen == members.argmax())
        chosen[donors[counts[donors, -1].argmin()]] = number
    return chosen


def _group_counts(pool: Dataset, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Objects per class and pictures of every group, GxC+1."""
    counts = np.zeros((groups.max(initial=-1) + 1, len(pool.class_names) + 1), np.int64)
    owners = np.repeat(groups, np.diff(pool.first_box))
    np.add.at(counts, (owners, pool.labels), 1)
    np.add.at(counts, (groups, counts.shape[1] - 1), 1)
    return counts


def _group_names(pool: Dataset, group_by: str | None) -> list[str]:
    paths = [Path(text) for text in pool.picture_paths.tolist()]
    if group_by is None:
        return [str(path) for path in paths]
    if group_by == "folder":
        return [str(path.parent) for path in paths]
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise UsageError(
            f"group_by = {group_by!r}: is no pattern ({error}); give 'folder' or a regular expression"
        ) from None
    found_in = [pattern.search(path.name) for path in paths]
    if not any(found_in):
        example = paths[0].name if paths else "no picture"
        raise UsageError(f"group_by = {group_by!r}: matches no file name (such as {example!r})")
    return [
        str(path) if match is None else match[1 if pattern.groups else 0] or ""
        for path, match in zip(paths, found_in, strict=True)
    ]


def _check_fractions(fractions: Mapping[str, float]) -> None:
    total = math.fsum(fractions.values())
    bad = [name for name, share in fractions.items() if not 0 < share < 1 and len(fractions) > 1]
    if bad or not fractions or abs(total - 1) > 1e-6:
        listed = ", ".join(f"{name}={share:g}" for name, share in fractions.items())
        raise UsageError(
            f"fractions {listed or '(none)'}: each must lie in 0..1 and all add up to 1, for example train=0.8,val=0.2"
        )
    unfit = [name for name in fractions if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", name)]
    if unfit:
        raise UsageError(f"split name {unfit[0]!r}: use letters, digits and '-'; it becomes a folder")


def _about(pool: Dataset, index: int, rule: str, value: str) -> Finding:
    name = str(pool.picture_paths[index])
    return found(rule, file=name, item=str(pool.picture_id(index)), field="picture", value=value)
