"""The published detectors by name, one file per system."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.errors import UsageError, nearest
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.coco_classes import COCO_CLASSES
from sanderling.models.zoo.entry import ZooEntry
from sanderling.models.zoo.fcos import ENTRIES as _FCOS
from sanderling.models.zoo.mobiledet import ENTRIES as _MOBILEDET
from sanderling.models.zoo.nanodet import ENTRIES as _NANODET
from sanderling.models.zoo.nanodet_plus import ENTRIES as _NANODET_PLUS
from sanderling.models.zoo.ppyolo import ENTRIES as _PPYOLO
from sanderling.models.zoo.ssdlite import ENTRIES as _SSDLITE
from sanderling.models.zoo.timm_backbones import ENTRIES as _TIMM
from sanderling.models.zoo.yolo_fastest import ENTRIES as _YOLO_FASTEST
from sanderling.models.zoo.yolor import ENTRIES as _YOLOR
from sanderling.models.zoo.yoloret import ENTRIES as _YOLORET
from sanderling.models.zoo.yolov3 import ENTRIES as _YOLOV3
from sanderling.models.zoo.yolov3_tiny import ENTRIES as _YOLOV3_TINY
from sanderling.models.zoo.yolov4_tiny import ENTRIES as _YOLOV4_TINY
from sanderling.models.zoo.yolov7_tiny import ENTRIES as _YOLOV7_TINY

_SYSTEMS = (
    _NANODET,
    _NANODET_PLUS,
    _YOLORET,
    _YOLOV3,
    _YOLOV3_TINY,
    _PPYOLO,
    _YOLOV4_TINY,
    _YOLOV7_TINY,
    _YOLO_FASTEST,
    _YOLOR,
    _SSDLITE,
    _MOBILEDET,
    _FCOS,
    _TIMM,
)
_FAMILIES: dict[str, list[ZooEntry]] = {}
for _system in _SYSTEMS:
    for _entry in _system:
        _FAMILIES.setdefault(_entry.family, []).append(_entry)
# A file may add to the family of another.
_ENTRIES = {entry.name: entry for family in _FAMILIES.values() for entry in family}


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
