"""Where the splits of a data set lie and how each is read: what every format's `locate_...` returns."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sanderling.datasets.finding import Finding
from sanderling.datasets.labels import DataFormat, SplitLabels
from sanderling.errors import UsageError
from sanderling.pictures import PICTURE_SUFFIXES

_SPLIT_WORDS = re.compile(r"(train|valid|val|test|dev|minival)[a-z]*\d*", re.IGNORECASE)
_SAME_SPLIT = {"valid": "val", "validation": "val"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """A data set that was recognised on disk.

    Attributes:
        data_format: coco, yolo or voc.
        root: the data set's folder, absolute; what its files name may not lie outside it.
        readers: split name to what reads it; a reader raises DataError when nothing can be read.
        own_split: the split that the given path itself stands for, if it is one file of one split.
        findings: what was met while looking, such as a path that leaves the folder.
    """

    data_format: DataFormat
    root: Path
    readers: Mapping[str, Callable[[], SplitLabels]]
    own_split: str | None = None
    findings: tuple[Finding, ...] = ()

    def split_named(self, wanted: str | None) -> str:
        """The split that a wish means: `valid` is val, `val` is val2017 where that is the only one of its kind.

        Raises:
            UsageError: there is no such split; those that exist are named.
        """
        names = list(self.readers)
        if wanted is None:
            wanted = self.own_split or (names[0] if len(names) == 1 else "val")
        wanted_name = canonical_split(wanted)
        near = [name for name in names if re.fullmatch(re.escape(wanted_name) + r"\d+", name)]
        if wanted_name in names:
            return wanted_name
        if len(near) == 1:
            return near[0]
        raise UsageError(f"{self.root}: has no split {wanted!r}; there are: {', '.join(names) or 'none'}")


def canonical_split(name: str) -> str:
    """One spelling per split: `valid` and `validation` are val."""
    return _SAME_SPLIT.get(name.lower(), name)


def is_split_word(name: str) -> bool:
    """Whether a folder or file part is called like a split."""
    return _SPLIT_WORDS.fullmatch(name) is not None


def pictures_below(folder: Path) -> Iterator[Path]:
    """All picture files in a folder and its folders, sorted by path; links are followed, each folder once."""
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(parent, name) for name in sorted(files) if is_picture(name))


def is_picture(name: str) -> bool:
    """Whether a file is called like a picture."""
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122 - pathlib costs 10 times as much
