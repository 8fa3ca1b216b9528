"""YOLO: a `data.yaml` and one text file per picture with `class centre_x centre_y width height` as fractions.

The YAML has `path` (relative to itself), `train`, `val` (or `valid`), `test` or splits of other names, `names` (list
or number to name) and perhaps `nc`. A split is a folder, a text file that lists pictures, or several of these. The
labels of `images/.../a.jpg` are `labels/.../a.txt`, otherwise `a.txt` beside the picture. A line with more than four
numbers is a polygon; its bounding box is read.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sanderling.config import load_yaml
from sanderling.datasets.labels import LabelBuilder, SplitLabels, exists, inside, shown, text_findings
from sanderling.datasets.layout import Layout, canonical_split, is_picture, pictures_below
from sanderling.datasets.rules import class_rule, found
from sanderling.errors import DataError, UsageError

_SPLIT_KEYS = ("train", "val", "valid", "validation", "test")
_LONGEST_LINK = 4096
_NOT_LABELS = {"classes.txt", "labels.txt", "names.txt", "notes.txt"}


def locate_yolo(path: Path) -> Layout | None:
    """Recognise a `data.yaml`, or a folder with one."""
    if path.is_dir():
        files = [path / "data.yaml", path / "data.yml", *sorted(path.glob("*.yaml")), *sorted(path.glob("*.yml"))]
        file = next((file for file in files if file.is_file() and _looks_like_yolo(file)), None)
    else:
        file = path if path.suffix.lower() in (".yaml", ".yml") and _looks_like_yolo(path) else None
    return None if file is None else _layout(file)


def _layout(file: Path) -> Layout:
    root = file.parent
    findings = text_findings(_bytes(file), file, root)
    document = _document(file)
    names = _names(document, file)
    count = document.get("nc", len(names))
    if count != len(names):
        findings.append(found("class-count-differs", file=file.name, item=file.name, field="nc", value=str(count)))
    numbers = list(names)
    if numbers and numbers[-1] - numbers[0] + 1 != len(numbers):
        value = f"{len(numbers)} classes in {numbers[0]}..{numbers[-1]}"
        findings.append(found("category-id-gaps", file=file.name, item=file.name, field="names", value=value))
    base = inside(root, root, str(document.get("path") or "."))
    if base is None:
        findings.append(
            found("path-outside", file=file.name, item=file.name, field="path", value=str(document["path"]))
        )
        base = root
    readers = {}
    for key in _split_keys(document, root, base):
        sources = []
        for written in document[key] if isinstance(document[key], list) else [document[key]]:
            source = _inside_or_beside(root, base, str(written))
            rule = "path-outside" if source is None else "split-missing" if not exists(source) else ""
            if rule:
                value = f"{written}{_text_link(root, source)}"
                findings.append(found(rule, file=file.name, item=file.name, field=key, value=value))
            elif source is not None:
                sources.append(source)
        if sources:
            split = canonical_split(key)
            readers[split] = functools.partial(read_yolo, sources, root=root, base=base, split=split, names=names)
    return Layout(data_format="yolo", root=root, readers=readers, findings=tuple(findings))


def read_yolo(sources: list[Path], *, root: Path, base: Path, split: str, names: dict[int, str]) -> SplitLabels:
    """Read one split.

    Args:
        sources: folders of pictures and text files that list pictures.
        root: the data set's folder.
        base: what relative paths in lists are relative to.
        split: its name.
        names: class number to name.

    Raises:
        DataError: a list of pictures cannot be read.
    """
    builder = LabelBuilder(root, [])
    index_of = {number: index for index, number in enumerate(names)}
    seen: dict[Path, Path] = {}
    for picture, item in _pictures(sources, root, base, builder):
        label = _label_of(picture, root)
        if label in seen:
            builder.report(
                "duplicate-picture-id", file=picture, item=item, field="label file", value=shown(label, root)
            )
            continue
        seen[label] = picture
        lines = _lines(label, builder)
        if lines is None:
            continue
        name = shown(label, root)
        builder.add_picture(picture, shown(picture, root), item=name)
        for number, line in enumerate(lines, start=1):
            if line.strip():
                _read_line(line.split(), f"{name}: line {number}", picture, index_of, builder)
    _orphans(list(seen), builder)
    return builder.build(split, "fractions", tuple(names.values()), tuple(names))


def _pictures(sources: list[Path], root: Path, base: Path, builder: LabelBuilder) -> Iterator[tuple[Path, str]]:
    """Each picture with the place that names it."""
    for source in sources:
        if source.is_dir():
            yield from ((picture, shown(picture, root)) for picture in pictures_below(source))
            continue
        if is_picture(source.name):
            yield source, shown(source, root)
            continue
        try:
            data = source.read_bytes()
            lines = data.decode("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{source}: cannot be read as a list of pictures: {error}") from None
        builder.findings += text_findings(data, source, root)
        for number, line in enumerate(lines, start=1):
            written, item = line.strip(), f"{shown(source, root)}: line {number}"
            if not written:
                continue
            beside, based = inside(root, source.parent, written), inside(root, base, written)
            picture = beside if beside is not None and (exists(beside) or based is None) else based
            if picture is None:
                builder.report("path-outside", file=Path(written), item=item, field="path", value=written)
            else:
                yield picture, item


def _label_of(picture: Path, root: Path) -> Path:
    beside = picture.with_suffix(".txt")
    parts = list(picture.relative_to(root).parts)
    places = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if not places:
        return beside
    parts[places[-1]] = "labels"
    label = root.joinpath(*parts).with_suffix(".txt")
    return beside if not exists(label) and exists(beside) else label


def _lines(label: Path, builder: LabelBuilder) -> list[str] | None:
    """The lines of a label file, none for a picture without one, None when it cannot be read."""
    item = shown(label, builder.root)
    try:
        data = label.read_bytes()
        builder.findings += text_findings(data, label, builder.root)
        return data.decode("utf-8-sig").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        builder.report("label-unreadable", file=label, item=item, field="text", value=str(error))
        return None


def _read_line(parts: list[str], item: str, picture: Path, index_of: dict[int, int], builder: LabelBuilder) -> None:
    number = _class_number(parts[0])
    if number not in index_of:
        rule = "label-malformed" if number is None else class_rule(number)
        builder.report(rule, file=picture, item=item, field="class", value=parts[0])
        return
    try:
        values = [float(part) for part in parts[1:]]
    except ValueError:
        values = []
    if len(values) > 4 and len(values) % 2 == 0:
        values = _bounds(values)
    if len(values) != 4:
        builder.report("box-malformed", file=picture, item=item, field="box", value=" ".join(parts[1:])[:80])
        return
    builder.add_box(values, index_of[int(number or 0)], item=item)


def _class_number(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if math.isfinite(number) and number == int(number) else number


def _bounds(polygon: list[float]) -> list[float]:
    left, right, top, bottom = min(polygon[::2]), max(polygon[::2]), min(polygon[1::2]), max(polygon[1::2])
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def _orphans(labels: list[Path], builder: LabelBuilder) -> None:
    """Other label files in the same folders that have no picture on disk."""
    read = set(labels)
    for folder in sorted({label.parent for label in labels}):
        if not folder.is_dir():
            continue
        parts = list(folder.relative_to(builder.root).parts)
        places = [index for index, part in enumerate(parts) if part == "labels"]
        if places:
            parts[places[-1]] = "images"
        pictures = {folder, builder.root.joinpath(*parts)}
        stems = {file.stem for place in pictures if place.is_dir() for file in place.iterdir() if is_picture(file.name)}
        for file in sorted(set(folder.glob("*.txt")) - read):
            beside = not places and (file.name in _NOT_LABELS or not _is_label(file))
            if file.stem not in stems and not beside and file.name not in _NOT_LABELS:
                item = shown(file, builder.root)
                builder.report("label-without-picture", file=file, item=item, field="picture", value=f"{file.stem}.*")


def _is_label(file: Path) -> bool:
    """Whether the first word of a text file is a class number: lists of pictures lie in the same places."""
    try:
        words = file.read_text(encoding="utf-8-sig").split(maxsplit=1)
    except (OSError, UnicodeDecodeError):
        return True
    return not words or _class_number(words[0]) is not None


def _inside_or_beside(root: Path, base: Path, written: str) -> Path | None:
    """A split's path; `../train/images` beside the YAML itself, as a common exporter writes it, is understood."""
    path = inside(root, base, written)
    if path is None and written.startswith("../"):
        stripped = inside(root, root, written.removeprefix("../"))
        return stripped if stripped is not None and exists(stripped) else None
    return path


def _split_keys(document: dict[str, Any], root: Path, base: Path) -> list[str]:
    """The usual splits, and any other key whose value is a folder or list in the data set."""
    usual = [key for key in _SPLIT_KEYS if document.get(key)]
    rest = {key: value for key, value in document.items() if key not in (*_SPLIT_KEYS, "path", "names")}
    return usual + [
        str(key)
        for key, value in rest.items()
        if isinstance(value, str) and (path := inside(root, base, value)) is not None and exists(path)
    ]


def _text_link(root: Path, path: Path | None) -> str:
    """Why a path does not exist, where one of its folders is a link that git wrote as a text file."""
    for parent in [] if path is None else [path, *path.parents]:
        if parent.is_file() and parent.stat().st_size < _LONGEST_LINK and parent.is_relative_to(root):
            target = parent.read_text(encoding="utf-8", errors="replace").strip()
            return f" ({parent.relative_to(root)} is a text file that holds {target!r}; make it a link)"
    return ""


def _looks_like_yolo(file: Path) -> bool:
    try:
        keys = {
            line.split(":")[0].strip("\ufeff \"'")
            for line in _bytes(file).decode("utf-8-sig").splitlines()
            if ":" in line
        }
    except (DataError, UnicodeDecodeError):
        return False
    return bool({"names", "nc"} & keys) and bool({*_SPLIT_KEYS, "path"} & keys)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from None


def _document(file: Path) -> dict[str, Any]:
    try:
        document = load_yaml(_bytes(file).decode("utf-8-sig"), source=str(file))
    except UsageError as error:
        raise DataError(str(error)) from None
    if not isinstance(document, dict):
        raise DataError(f"{file}: a YOLO data set's YAML has the keys train, val and names")
    return document


def _names(document: dict[str, Any], file: Path) -> dict[int, str]:
    """Class number to name, sorted by number."""
    names, count = document.get("names"), document.get("nc")
    if names is None and isinstance(count, int):
        return {number: f"class_{number}" for number in range(count)}
    if isinstance(names, list):
        return {number: str(name) for number, name in enumerate(names)}
    if isinstance(names, dict) and all(isinstance(number, int) for number in names):
        return {number: str(names[number]) for number in sorted(names)}
    raise DataError(f"{file}: names = {names!r}: expected is a list of class names or a mapping of number to name")
