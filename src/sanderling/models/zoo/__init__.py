"""The published detectors by name, one file per system."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.errors import UsageError, nearest
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.coco_classes import COCO_CLASSES
from sanderling.models.zoo.entry import ZooEntry
from sanderling.models.zoo.nanodet import ENTRIES as _NANODET

_ENTRIES = {entry.name: entry for system in (_NANODET,) for entry in system}


def names() -> list[str]:
    """All names, in the order of the list that people see."""
    return list(_ENTRIES)


def entries() -> list[ZooEntry]:
    """All entries."""
    return list(_ENTRIES.values())


def entry(name: str) -> ZooEntry:
    """One entry by name.

    Raises:
        UsageError: there is no such name; the nearest is suggested.
    """
    if name not in _ENTRIES:
        raise UsageError(f"no model is named {name!r}; {nearest(name, _ENTRIES)}; see: sanderling models")
    return _ENTRIES[name]


def config(name: str, class_names: Sequence[str] | None = None) -> DetectorConfig:
    """The configuration of a named detector, for COCO's 80 classes unless others are given.

    >>> config("nanodet-m").name
    'nanodet-m'
    """
    return entry(name).make(COCO_CLASSES if class_names is None else class_names)
