"""Recognise a data set on disk and open one split of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from sanderling.datasets.coco import locate_coco
from sanderling.datasets.dataset import Dataset
from sanderling.datasets.labels import DataFormat
from sanderling.datasets.layout import Layout
from sanderling.datasets.voc import locate_voc
from sanderling.datasets.yolo import locate_yolo
from sanderling.errors import DataError

logger = logging.getLogger(__name__)

# Where a folder holds several, the first is taken.
_LOCATORS: dict[DataFormat, Callable[[Path], Layout | None]] = {
    "coco": locate_coco,
    "yolo": locate_yolo,
    "voc": locate_voc,
}


def open_dataset(path: Path, *, split: str | None = None, data_format: DataFormat | None = None) -> Dataset:
    """Read one split of a data set; boxes that cannot be used are left out and listed in `Dataset.skipped`.

    Args:
        path: a COCO JSON, a YOLO data.yaml, a VOC folder, or a folder that holds one of them.
        split: its name; None takes the split that `path` itself is, the only one, or val.
        data_format: needed only where a folder holds several and another than the first of coco, yolo, voc is meant.

    Raises:
        DataError: there is no data set, or its label files cannot be read.
        UsageError: there is no such split; those that exist are named.
    """
    layout = _readable(path, data_format)
    return layout.readers[layout.split_named(split)]().to_dataset(layout.root.name)


def open_all(path: Path, *, data_format: DataFormat | None = None) -> list[Dataset]:
    """Read every split of a data set (at least one), in the order in which `splits` names them.

    Raises:
        DataError: there is no data set, or its label files cannot be read.
    """
    layout = _readable(path, data_format)
    return [read().to_dataset(layout.root.name) for read in layout.readers.values()]


def splits(path: Path, data_format: DataFormat | None = None) -> list[str]:
    """The names of the splits of a data set.

    Raises:
        DataError: there is no data set.
    """
    return list(locate(path, data_format=data_format).readers)


def locate(path: Path, *, data_format: DataFormat | None = None) -> Layout:
    """Find out what data set a path is, without reading its labels.

    Raises:
        DataError: nothing there is a data set of a known format.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - links stay as they are written
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; name a COCO JSON, a data.yaml or a data set's folder")
    layouts = _layouts(path, data_format)
    if not layouts and path.is_dir():
        below = {child: _layouts(child, data_format) for child in sorted(path.iterdir()) if child.is_dir()}
        holders = [child for child, found in below.items() if found]
        if len(holders) > 1:
            names = ", ".join(child.name for child in holders)
            raise DataError(f"{path}: holds several data sets ({names}); name one of them")
        layouts = below[holders[0]] if holders else []
    if not layouts:
        wanted = f"a {data_format.upper()} data set" if data_format else "a COCO, YOLO or VOC data set"
        raise DataError(
            f"{path}: is not {wanted}; expected is a COCO JSON (pictures beside it or in ../images/SPLIT), "
            "a YOLO data.yaml, a VOC folder with Annotations, or a folder that holds one of them"
        )
    chosen = layouts[0]
    if len(layouts) > 1:
        held = ", ".join(layout.data_format for layout in layouts)
        logger.info("%s holds %s; reading %s (--data-format chooses another)", path, held, chosen.data_format)
    return chosen


def _readable(path: Path, data_format: DataFormat | None) -> Layout:
    """The layout of a data set that has at least one split."""
    layout = locate(path, data_format=data_format)
    if not layout.readers:
        why = "; ".join(f"{entry.field} = {entry.value}: {entry.rule}" for entry in layout.findings)
        raise DataError(f"{path}: has no split that can be read ({why})")
    return layout


def _layouts(path: Path, data_format: DataFormat | None) -> list[Layout]:
    chosen = _LOCATORS if data_format is None else {data_format: _LOCATORS[data_format]}
    return [layout for locator in chosen.values() if (layout := locator(path)) is not None]
