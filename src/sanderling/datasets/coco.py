"""COCO JSON (https://cocodataset.org/#format-data): boxes as left, top, width, height in pixels.

Read is `annotations/instances_SPLIT.json` with pictures in `images/SPLIT` or `SPLIT`, a JSON beside its pictures, and
Roboflow's `SPLIT/_annotations.coco.json`.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.finding import Finding
from sanderling.datasets.labels import SplitLabels, exists, fill_sizes, inside, shown, text_findings
from sanderling.datasets.layout import Layout, canonical_split, is_split_word
from sanderling.datasets.rules import class_rule, found
from sanderling.errors import DataError
from sanderling.structures.sample import PictureId

Entry = dict[str, Any]

_REQUIRED = {"images": ("id",), "annotations": ("image_id", "category_id"), "categories": ("id", "name")}
_NAMELESS = {"_annotations.coco", "annotations", "instances", "labels", "coco"}
_PEEK_BYTES = 1 << 16
_SAMPLED_PICTURES = 24
_DROPPED, _UNKNOWN = -2, -1


def locate_coco(path: Path) -> Layout | None:
    """Recognise a COCO file, or a folder that holds COCO files, one per split."""
    if path.is_dir():
        files, own = _files_in(path), None
        root = path
    elif path.suffix.lower() == ".json" and _looks_like_coco(path):
        own, root = path, _root_of(path)
        siblings = _files_in(root)
        files = siblings if path in siblings else [path]
    else:
        return None
    if not files:
        return None
    names = {file: canonical_split(_split_of(file)) for file in files}
    if len(set(names.values())) < len(names):
        names = {file: file.stem for file in files}
    readers = {
        name: functools.partial(
            read_coco, file, root=root, split=name, picture_folders=_picture_folders(file, _split_of(file))
        )
        for file, name in names.items()
    }
    return Layout(data_format="coco", root=root, readers=readers, own_split=names[own] if own else None)


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Half a million new objects set off the garbage collector again and again, for nothing: JSON has no cycles."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@collector_paused()
def read_coco(path: Path, *, root: Path, split: str, picture_folders: list[Path]) -> SplitLabels:
    """Read one COCO file.

    Args:
        path: the JSON file.
        root: the data set's folder.
        split: the name that the split goes by.
        picture_folders: where the pictures may be; the folder that holds most of them is taken.

    Raises:
        DataError: the file cannot be read as COCO at all.
    """
    try:
        data = path.read_bytes()
        document = json.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON ({error}); write the label file again") from None
    if not isinstance(document, dict) or not all(isinstance(document.get(key, []), list) for key in _REQUIRED):
        raise DataError(f"{path}: a COCO file is an object with the lists images, annotations and categories")
    for key in ("images", "categories"):
        if key not in document:
            raise DataError(f"{path}: has no list {key!r}; a COCO file needs it")
    return _Reader(path, root, text_findings(data, path, root)).read(document, split, picture_folders)


class _Reader:
    """Collects findings while the three lists of a file are read."""

    def __init__(self, path: Path, root: Path, findings: list[Finding]) -> None:
        self.root, self.findings = root, findings
        self.name = shown(path, root)

    def read(self, document: Entry, split: str, picture_folders: list[Path]) -> SplitLabels:
        categories = self._categories(document)
        images = self._usable(document, "images")
        place, used, paths = self._pictures(images, _fullest(picture_folders, images))
        sizes_hw = np.array([[_side(image, "height"), _side(image, "width")] for image in used], np.int32).reshape(
            -1, 2
        )
        sizes_hw[(sizes_hw == 0).any(axis=1)] = 0
        fill_sizes(sizes_hw, paths)
        entries, pictures, labels, values = self._annotations(document, categories, place, paths)
        return SplitLabels(
            root=self.root,
            split=split,
            class_names=tuple(categories.values()),
            category_ids=tuple(categories),
            form="xywh",
            picture_paths=paths,
            picture_ids=[image["id"] for image in used],
            picture_items=[f"{self.name}: image {image['id']}" for image in used],
            sizes_hw=sizes_hw,
            picture_index=pictures,
            values=values,
            labels=labels,
            areas=_areas(entries),
            crowd=np.array([bool(entry.get("iscrowd")) for entry in entries], np.bool_),
            difficult=np.array([bool(entry.get("difficult")) for entry in entries], np.bool_),
            box_item=lambda box: self._item(entries[box]),
            findings=self.findings,
        )

    def _report(self, rule: str, *, item: str, field: str, value: Any, file: str = "") -> None:
        if not isinstance(value, str | int | float | None):
            value = json.dumps(value)[:80]
        self.findings.append(found(rule, file=file or self.name, item=item, field=field, value=value))

    def _item(self, annotation: Entry) -> str:
        return f"{self.name}: annotation {annotation.get('id', 'without id')}"

    def _usable(self, document: Entry, key: str) -> list[Entry]:
        """The entries that are objects and have the keys that everything hangs on."""
        entries: list[Any] = document.get(key) or []
        if _all_have(entries, _REQUIRED[key]):
            return entries
        usable = []
        for index, entry in enumerate(entries):
            if not isinstance(entry, dict):
                self._report("label-malformed", item=f"{self.name}: {key}[{index}]", field=key, value=entry)
                continue
            missing = [name for name in _REQUIRED[key] if not isinstance(entry.get(name), int | str | float)]
            if missing:
                value = entry.get(missing[0])
                self._report("label-malformed", item=f"{self.name}: {key}[{index}]", field=missing[0], value=value)
                continue
            usable.append(entry)
        return usable

    def _categories(self, document: Entry) -> dict[int, str]:
        """Names by id, sorted by id so that every split numbers its classes alike."""
        names: dict[int, str] = {}
        for entry in self._usable(document, "categories"):
            item = f"{self.name}: category {entry['id']}"
            if not isinstance(entry["id"], int):
                self._report(class_rule(entry["id"]), item=item, field="id", value=entry["id"])
            elif entry["id"] in names:
                self._report("duplicate-id", item=item, field="id", value=entry["id"])
            else:
                names[entry["id"]] = str(entry["name"])
        ids = sorted(names)
        if ids and ids[-1] - ids[0] + 1 != len(ids):
            value = f"{len(ids)} classes in {ids[0]}..{ids[-1]}"
            self._report("category-id-gaps", item=f"{self.name}: categories", field="id", value=value)
        return {number: names[number] for number in ids}

    def _pictures(self, images: list[Entry], folder: Path) -> tuple[dict[PictureId, int], list[Entry], list[Path]]:
        place: dict[PictureId, int] = {}
        used: list[Entry] = []
        paths: list[Path] = []
        for image in images:
            item, name = f"{self.name}: image {image['id']}", image.get("file_name")
            if not isinstance(name, str) or not name or not _writable(name):
                value = ascii(name) if isinstance(name, str) else name
                self._report("label-malformed", item=item, field="file_name", value=value)
                place.setdefault(image["id"], _DROPPED)
                continue
            path = inside(self.root, folder, name)
            if path is None:
                self._report("path-outside", file=name, item=item, field="file_name", value=name)
                place.setdefault(image["id"], _DROPPED)
            elif image["id"] in place:
                file = shown(path, self.root)
                self._report("duplicate-picture-id", file=file, item=item, field="id", value=image["id"])
            else:
                place[image["id"]] = len(paths)
                used.append(image)
                paths.append(path)
        return place, used, paths

    def _annotations(
        self, document: Entry, categories: dict[int, str], place: dict[PictureId, int], paths: list[Path]
    ) -> tuple[list[Entry], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The annotations whose picture, class and numbers can be told, with these."""
        entries = self._usable(document, "annotations")
        pictures = np.array([place.get(entry["image_id"], _UNKNOWN) for entry in entries], np.int64)
        index_of = {number: index for index, number in enumerate(categories)}
        labels = np.array([index_of.get(entry["category_id"], _UNKNOWN) for entry in entries], np.int64)
        values, numeric = _boxes(entries)
        self._repeated_ids(entries, pictures, paths)
        for index in np.flatnonzero((pictures == _UNKNOWN) | (pictures >= 0) & ((labels < 0) | ~numeric)).tolist():
            entry, item = entries[index], self._item(entries[index])
            if pictures[index] == _UNKNOWN:
                self._report("label-without-picture", item=item, field="image_id", value=entry["image_id"])
                continue
            file = shown(paths[pictures[index]], self.root)
            if labels[index] < 0:
                number = entry["category_id"]
                self._report(class_rule(number), file=file, item=item, field="category_id", value=number)
            if not numeric[index]:
                self._report("box-malformed", file=file, item=item, field="bbox", value=entry.get("bbox"))
        good = np.flatnonzero((pictures >= 0) & (labels >= 0) & numeric)
        return [entries[index] for index in good.tolist()], pictures[good], labels[good], values[good]

    def _repeated_ids(self, entries: list[Entry], pictures: NDArray[np.int64], paths: list[Path]) -> None:
        ids = [entry["id"] for entry in entries if isinstance(entry.get("id"), int | str)]
        if len(set(ids)) == len(ids):
            return
        seen: set[PictureId] = set()
        for entry, picture in zip(entries, pictures.tolist(), strict=True):
            number = entry.get("id")
            if not isinstance(number, int | str):
                continue
            if number in seen:
                file = shown(paths[picture], self.root) if picture >= 0 else self.name
                self._report("duplicate-id", file=file, item=self._item(entry), field="id", value=number)
            seen.add(number)


def _boxes(entries: list[Entry]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Boxes (T, 4) and which of them are four numbers at all."""
    boxes = [entry.get("bbox") for entry in entries]
    if {type(box) for box in boxes} <= {list} and {len(box) for box in boxes if box is not None} <= {4}:
        # What is text or nothing else would become a number, or not one, in silence.
        flat = [value for box in boxes if box is not None for value in box]
        if {type(value) for value in flat} <= {int, float}:
            with contextlib.suppress(OverflowError):
                return np.array(flat, np.float64).reshape(-1, 4), np.ones(len(boxes), np.bool_)
    values, numeric = np.zeros((len(entries), 4)), np.zeros(len(entries), np.bool_)
    for index, box in enumerate(boxes):
        if isinstance(box, list) and len(box) == 4 and all(type(value) in (int, float) for value in box):
            with contextlib.suppress(OverflowError):
                values[index], numeric[index] = [float(value) for value in box], True
    return values, numeric


def _all_have(entries: list[Any], keys: tuple[str, ...]) -> bool:
    """Whether every entry is an object in which each of the keys has a number or text: the common case, quickly."""
    try:
        return all({type(entry[key]) for entry in entries} <= {int, float, str} for key in keys)
    except (KeyError, TypeError, IndexError):
        return False


def _writable(name: str) -> bool:
    """Whether a text can be a file's name and be printed: JSON can hold halves of characters, which cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _side(image: Entry, key: str) -> int:
    side = image.get(key)
    return int(side) if isinstance(side, int | float) and 0 < side < 1 << 31 else 0


def _areas(annotations: list[Entry]) -> NDArray[np.float64]:
    """The stated areas (T), NaN where none is."""
    areas = [annotation.get("area") for annotation in annotations]
    return np.array([area if type(area) in (int, float) else np.nan for area in areas], np.float64)


def _fullest(folders: list[Path], images: list[Entry]) -> Path:
    """The folder that holds most of a sample of the pictures; the first of equals."""
    names = [image["file_name"] for image in images if isinstance(image.get("file_name"), str)]
    sample = names[:: max(1, len(names) // _SAMPLED_PICTURES)]

    def held(folder: Path) -> int:
        return sum(exists(folder / name.replace("\\", "/")) for name in sample)

    return max(folders, key=held)


def _picture_folders(file: Path, split: str) -> list[Path]:
    beside, above = file.parent, file.parent.parent
    names = list(dict.fromkeys([split, canonical_split(split), "valid" if canonical_split(split) == "val" else split]))
    if file.parent.name.lower() == "annotations":
        near = [above / "images" / name for name in names] + [above / name for name in names]
        return [*near, above / "images", above, beside]
    near = [beside / "images" / name for name in names] + [beside / name for name in names]
    return [beside, *near, beside / "images", *(above / "images" / name for name in names)]


def _root_of(file: Path) -> Path:
    """The data set's folder of a COCO file."""
    above, split = file.parent.parent, _split_of(file)
    nested = file.parent.name.lower() == "annotations" or is_split_word(file.parent.name)
    return above if nested or (above / "images" / split).is_dir() else file.parent


def _split_of(file: Path) -> str:
    if file.stem.lower() in _NAMELESS:
        return file.parent.name if is_split_word(file.parent.name) else "all"
    last = file.stem.split("_")[-1]
    return last if is_split_word(last) else file.stem.removeprefix("instances_")


def _files_in(root: Path) -> list[Path]:
    """The COCO files of a data set's folder, the most specific place first."""
    places: tuple[Iterator[Path], ...] = (
        (root / "annotations").glob("*.json"),
        root.glob("*/_annotations.coco.json"),
        root.glob("*.json"),
        root.glob("*/annotations.json"),
    )
    for place in places:
        files = sorted(file for file in place if _looks_like_coco(file))
        instances = [file for file in files if file.name.startswith("instances")]
        if files:
            return instances or files
    return []


def _looks_like_coco(path: Path) -> bool:
    """Judge by the first and last bytes: the file may be large, or broken further on."""
    try:
        with path.open("rb") as file:
            head = file.read(_PEEK_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
            file.seek(max(0, path.stat().st_size - _PEEK_BYTES))
            tail = file.read()
    except OSError:
        return False
    keys = (b'"images"', b'"annotations"', b'"categories"')
    return head.startswith(b"{") and any(key in head or key in tail for key in keys)
