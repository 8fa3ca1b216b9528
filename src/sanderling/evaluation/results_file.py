"""COCO's results file: a JSON list of objects with image_id, category_id, bbox (left, top, width, height) and score.

https://cocodataset.org/#format-results
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.coco import collector_paused
from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError, UsageError
from sanderling.evaluation.flat import FlatDetections, flatten
from sanderling.structures.detections import Detections


def read_results(path: Path, dataset: Dataset) -> list[Detections]:
    """Read a results file: one `Detections` per picture of `dataset`, best first, in its classes.

    Raises:
        DataError: see `read_flat_results`.
    """
    return read_flat_results(path, dataset).per_picture(dataset.class_names)


def read_flat_results(path: Path, dataset: Dataset) -> FlatDetections:
    """Read a results file as flat arrays in the order of the file; `evaluate` takes them as they are.

    Args:
        path: the JSON file.
        dataset: its picture and category ids are those of the file.

    Raises:
        DataError: the file cannot be read, an entry lacks a key, an id is not in the data set, or a number is none.
    """
    entries = _load(path)
    try:
        boxes = list(map(itemgetter("bbox"), entries))
        if any(len(box) != 4 for box in boxes):
            raise ValueError
        boxes_xywh = _numbers(chain.from_iterable(boxes)).reshape(-1, 4)
        scores = _numbers(map(itemgetter("score"), entries))
        picture_index = _places(entries, "image_id", _index(dataset.picture_ids.tolist()))
        labels = _places(entries, "category_id", _index(dataset.category_ids))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise _first_fault(path, entries) from None
    finite = np.isfinite(boxes_xywh).all(axis=1) & np.isfinite(scores)
    for name, wrong, field in (
        ("image", picture_index < 0, "image_id"),
        ("category", labels < 0, "category_id"),
    ):
        if wrong.any():
            index = int(np.argmax(wrong))
            raise DataError(
                f"{path}: entry {index} has {field} {entries[index][field]!r}, which is no {name} of {dataset.name} "
                f"({dataset.split}); {np.count_nonzero(wrong)} of {len(entries)} entries are so; were the results made "
                "on this split?"
            )
    if not finite.all():
        index = int(np.argmin(finite))
        raise DataError(
            f"{path}: entry {index} has bbox {entries[index]['bbox']} and score {entries[index]['score']}; finite "
            "numbers are expected"
        )
    boxes_xywh[:, 2:] += boxes_xywh[:, :2]
    return FlatDetections.finite(
        picture_index=picture_index,
        boxes_xyxy=boxes_xywh,
        scores=scores,
        labels=labels,
        pictures=len(dataset),
    )


def write_results(path: Path, detections: Sequence[Detections] | FlatDetections, dataset: Dataset) -> None:
    """Write detections under the picture and category ids of the data set, whole or not at all.

    Boxes are rounded to 1/1000 px and scores to six decimals; what is not finite is left out.

    Args:
        path: the JSON file; its folder is made.
        detections: one entry per picture of `dataset`, or flat.
        dataset: where the ids come from.

    Raises:
        UsageError: not one entry per picture, or the file cannot be written.
        DataError: the detector does not know a class of the data set.
    """
    found = flatten(dataset, detections)
    boxes = found.boxes_xyxy.copy()
    boxes[:, 2:] -= boxes[:, :2]
    picture_ids, category_ids = dataset.picture_ids.tolist(), dataset.category_ids
    rows = zip(
        found.picture_index.tolist(),
        found.labels.tolist(),
        boxes.round(3).tolist(),
        found.scores.round(6).tolist(),
        strict=True,
    )
    entries = [
        {"image_id": picture_ids[picture], "category_id": category_ids[label], "bbox": box, "score": score}
        for picture, label, box, score in rows
    ]
    temporary = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(entries), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(f"{path}: cannot be written: {error.strerror}; name a file that can be") from None


def _load(path: Path) -> list[Any]:
    # Comes with pydantic and reads twice as fast as the standard library.
    from pydantic_core import from_json

    try:
        with collector_paused():
            entries = from_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path}: is not JSON ({error}); write the results again") from None
    if not isinstance(entries, list):
        raise DataError(f"{path}: a results file is a list of objects with image_id, category_id, bbox and score")
    return entries


def _index(ids: Iterable[Hashable]) -> dict[Hashable, int]:
    return {number: index for index, number in enumerate(ids)}


def _numbers(values: Any) -> NDArray[np.float64]:
    return np.fromiter(values, np.float64)


def _places(entries: list[Any], field: str, place: Mapping[Hashable, int]) -> NDArray[np.int64]:
    """The index of every entry's id, -1 where it is unknown."""
    get: Callable[[Hashable], int | None] = place.get
    found = map(get, map(itemgetter(field), entries))
    return np.fromiter((-1 if index is None else index for index in found), np.int64, len(entries))


def _first_fault(path: Path, entries: list[Any]) -> DataError:
    """Say which entry is the first that cannot be used at all, and why."""
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            return DataError(f"{path}: entry {index} is {str(entry)[:60]!r}; an object is expected")
        missing = [key for key in ("image_id", "category_id", "bbox", "score") if key not in entry]
        if missing:
            return DataError(f"{path}: entry {index} has no {missing[0]!r}; it is needed (only boxes can be scored)")
        box = entry["bbox"]
        if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
            return DataError(
                f"{path}: entry {index} has bbox {str(box)[:60]}; left, top, width and height are expected"
            )
        if not _is_number(entry["score"]):
            return DataError(f"{path}: entry {index} has score {entry['score']!r}; a number is expected")
        for field in ("image_id", "category_id"):
            if not isinstance(entry[field], int | str):
                return DataError(f"{path}: entry {index} has {field} {str(entry[field])[:60]}; an id is expected")
    return DataError(f"{path}: holds numbers that are too large to use")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
