"""Pictures without boxes, from folders and from data sets of any format, for what learns without labels."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sanderling.datasets.coco import locate_coco
from sanderling.datasets.dataset import Dataset
from sanderling.datasets.finding import Finding
from sanderling.datasets.layout import Layout, is_picture
from sanderling.datasets.picture_file import upright_size
from sanderling.datasets.rules import found
from sanderling.datasets.voc import locate_voc
from sanderling.datasets.yolo import locate_yolo
from sanderling.errors import DataError

logger = logging.getLogger(__name__)

_SPLIT = "train"
# In the order in which data sets are opened elsewhere.
_LOCATORS = (locate_coco, locate_yolo, locate_voc)
_Sizes = dict[str, tuple[int, int]]


def open_unlabelled(paths: Sequence[Path]) -> Dataset:
    """Gather pictures as a data set without classes and boxes. A file that is reached in two ways is taken once.

    Of a data set, wherever below a path it stands, the split `train` is taken, or the only split there is, so that
    nothing is learnt from the pictures of a later score. What belongs to no data set is taken whole.

    Args:
        paths: data sets, pictures, and folders that hold any of them at any depth.

    Raises:
        DataError: a path does not exist or holds no picture, or a data set cannot be read or has several splits and
            none for training.
    """
    pictures: _Sizes = {}
    skipped: list[Finding] = []
    for path in paths:
        of_sets = of_none = sets = 0
        for source in _sources(path):
            before = len(pictures)
            if isinstance(source, Layout):
                _take_data_set(source, pictures, skipped)
                sets, of_sets = sets + 1, of_sets + len(pictures) - before
            else:
                _take_file(source, pictures, skipped)
                of_none += len(pictures) - before
        logger.info("%s: %d pictures of %d data sets, %d without labels", path, of_sets, sets, of_none)
    if not pictures:
        raise DataError(
            f"{', '.join(map(str, paths)) or 'no path is given'}: no picture can be read there; name folders of "
            "pictures or data sets"
        )
    return Dataset(
        name=", ".join(path.name or str(path) for path in paths),
        split="unlabelled",
        class_names=(),
        category_ids=(),
        picture_paths=np.array(list(pictures), dtype=np.str_),
        picture_ids=np.array(list(pictures), dtype=np.str_),
        sizes_hw=np.array(list(pictures.values()), np.int32),
        first_box=np.zeros(len(pictures) + 1, np.int64),
        boxes_xyxy=np.zeros((0, 4)),
        areas=np.zeros(0),
        labels=np.zeros(0, np.int64),
        crowd=np.zeros(0, np.bool_),
        difficult=np.zeros(0, np.bool_),
        skipped=tuple(skipped),
    )


def hold_back(dataset: Dataset, *, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Part a data set by chance into what is learnt from and what is measured on.

    Args:
        dataset: of at least one picture.
        share: of the pictures that are held back, 0..1; above 0 it is at least one of them, and never all.
        seed: of the choice.
    """
    count = min(max(1, round(share * len(dataset))), len(dataset) - 1) if share else 0
    order = np.random.default_rng(seed).permutation(len(dataset))
    return dataset.subset(np.sort(order[count:])), dataset.subset(np.sort(order[:count]))


def _sources(path: Path) -> Iterator[Layout | Path]:
    """The data sets that a path is or holds, and the pictures in it that belong to none."""
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; name pictures, a folder of pictures, or a data set")
    path = Path(os.path.abspath(path))  # noqa: PTH100 - links stay as they are written
    if (whole := _data_set(path)) is not None:
        yield whole
    elif path.is_dir():
        yield from _sources_in(path, set())
    else:
        yield path


def _sources_in(folder: Path, seen: set[str]) -> Iterator[Layout | Path]:
    """Those in a folder that is no data set itself; links are followed, each folder once."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    with os.scandir(folder) as entries:
        children = sorted(entries, key=lambda entry: entry.name)
    yield from (Path(child.path) for child in children if is_picture(child.name) and not child.is_dir())
    for child in (Path(child.path) for child in children if child.is_dir()):
        layout = _data_set(child)
        if layout is None:
            yield from _sources_in(child, seen)
        elif layout.readers:
            yield layout
        else:
            logger.warning("%s: is left out, as no split of it can be read", layout.root)


def _data_set(path: Path) -> Layout | None:
    return next((layout for locator in _LOCATORS if (layout := locator(path)) is not None), None)


def _take_data_set(layout: Layout, pictures: _Sizes, skipped: list[Finding]) -> None:
    splits = list(layout.readers)
    name = layout.own_split or (splits[0] if len(splits) == 1 else _SPLIT)
    if name not in splits:
        raise DataError(
            f"{layout.root}: has no split {name!r}; there are: {', '.join(splits) or 'none'}. Name the pictures to "
            "learn from by their folder"
        )
    dataset = layout.readers[name]().to_dataset(layout.root.name)
    for path, (height, width) in zip(dataset.picture_paths.tolist(), dataset.sizes_hw.tolist(), strict=True):
        if os.path.exists(path):  # noqa: PTH110 - pathlib costs ten times as much
            pictures.setdefault(os.path.realpath(path), (height, width))
        else:
            skipped.append(found("picture-missing", file=path, item=path, field="picture", value=path))


def _take_file(file: Path, pictures: _Sizes, skipped: list[Finding]) -> None:
    # The header is enough, and lets large JPEGs be decoded at a reduced scale.
    size_hw = upright_size(file)
    if isinstance(size_hw, str):
        skipped.append(found(size_hw, file=str(file), item=str(file), field="picture", value=file.name))
    else:
        pictures.setdefault(os.path.realpath(file), size_hw)
