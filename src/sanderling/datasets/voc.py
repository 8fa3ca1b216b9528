"""Pascal VOC: one XML file per picture, boxes as xmin, ymin, xmax, ymax in pixels.

Read are `JPEGImages` + `Annotations` + `ImageSets/Main/SPLIT.txt`, `Annotations/SPLIT` + `images/SPLIT`, and XML files
beside their pictures (also in one folder per split). A picture `a.jpg` may have several label files: `a.xml`,
`a.insulator.xml`, `a.defect.xml`. Corners are taken as written: the original development kit counts pixels from 1 and
includes the last one, today's labelling tools do neither.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from sanderling.datasets.finding import Finding
from sanderling.datasets.labels import LabelBuilder, SplitLabels, inside, shown, text_findings
from sanderling.datasets.layout import Layout, canonical_split, is_picture, is_split_word
from sanderling.errors import DataError

_CLASS_FILES = ("labels.txt", "classes.txt")
_PICTURE_FOLDERS = ("JPEGImages", "images", "Images")
_PEEKED_FILES, _PEEK_BYTES = 8, 4096
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A split: where its pictures and label files are, and which pictures belong to it (None: all of the folder)."""

    pictures: Path
    labels: Path
    listing: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Object:
    number: int
    name: str
    corners: tuple[float, ...] | None
    written: str
    difficult: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Annotation:
    objects: tuple[_Object, ...]
    size_hw: tuple[int, int]
    file_name: str
    peculiarities: tuple[Finding, ...]


def locate_voc(path: Path) -> Layout | None:
    """Recognise a folder of VOC label files."""
    places = _places(path) if path.is_dir() else {}
    if not places:
        return None
    files = _LabelFiles(path, sorted({place.labels for place in places.values()}))
    readers = {
        split: functools.partial(read_voc, place, root=path, split=split, files=files)
        for split, place in places.items()
    }
    return Layout(data_format="voc", root=path, readers=readers)


class _LabelFiles:
    """Parses each XML file once: the classes of one split are those of all, or their numbers would differ."""

    def __init__(self, root: Path, folders: list[Path]) -> None:
        self._root, self._folders = root, folders
        self._parsed: dict[Path, _Annotation | str] = {}

    def parsed(self, file: Path) -> _Annotation | str:
        """The content of a label file, or why it cannot be read."""
        if file not in self._parsed:
            self._parsed[file] = _parse(file, self._root)
        return self._parsed[file]

    @functools.cached_property
    def class_names(self) -> tuple[str, ...]:
        """The lines of labels.txt or classes.txt, otherwise every name that occurs, sorted."""
        for name in _CLASS_FILES:
            file = self._root / name
            if file.is_file():
                return tuple(line.strip() for line in _lines(file) if line.strip())
        files = (file for folder in self._folders for file in folder.glob("*.xml"))
        readable = (parsed for file in files if isinstance(parsed := self.parsed(file), _Annotation))
        return tuple(sorted({entry.name for annotation in readable for entry in annotation.objects} - {""}))


def read_voc(place: Place, *, root: Path, split: str, files: _LabelFiles) -> SplitLabels:
    """Read one split.

    Args:
        place: where its pictures and label files are.
        root: the data set's folder.
        split: its name.
        files: the parsed label files, shared between the splits.
    """
    builder = LabelBuilder(root, [])
    on_disk = _pictures_by_stem(place.pictures, builder)
    labels = _labels_by_stem(place, on_disk, files, builder)
    index_of = {name: index for index, name in enumerate(files.class_names)}
    for stem in list(on_disk) if place.listing is None else _listed(place, place.listing, on_disk, builder):
        _read_picture(
            on_disk[stem],
            labels=labels.get(stem, []),
            place=place,
            index_of=index_of,
            files=files,
            builder=builder,
        )
    return builder.build(split, "xyxy", files.class_names, tuple(range(1, len(files.class_names) + 1)))


def _read_picture(
    picture: Path,
    *,
    labels: list[Path],
    place: Place,
    index_of: Mapping[str, int],
    files: _LabelFiles,
    builder: LabelBuilder,
) -> None:
    annotations = []
    for label in labels:
        item, parsed = shown(label, builder.root), files.parsed(label)
        if isinstance(parsed, str):
            builder.report("label-unreadable", file=picture, item=item, field="xml", value=parsed)
            return
        if inside(builder.root, place.pictures, parsed.file_name) is None:
            written = parsed.file_name
            builder.report("path-outside", file=Path(written), item=item, field="filename", value=written)
            return
        builder.findings += parsed.peculiarities
        annotations.append((item, parsed))
    size_hw = next((parsed.size_hw for _, parsed in annotations if min(parsed.size_hw) > 0), (0, 0))
    item = annotations[0][0] if annotations else shown(picture, builder.root)
    builder.add_picture(picture, picture.stem, item=item, size_hw=size_hw)
    for item, parsed in annotations:
        for entry in parsed.objects:
            where = f"{item}: object {entry.number}"
            if not entry.name or entry.name not in index_of:
                rule = "class-out-of-range" if entry.name else "label-malformed"
                builder.report(rule, file=picture, item=where, field="name", value=entry.name)
            elif entry.corners is None:
                builder.report("box-malformed", file=picture, item=where, field="bndbox", value=entry.written)
            else:
                builder.add_box(entry.corners, index_of[entry.name], item=where, difficult=entry.difficult)


def _pictures_by_stem(folder: Path, builder: LabelBuilder) -> dict[str, Path]:
    pictures: dict[str, Path] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not is_picture(file.name):
            continue
        if file.stem in pictures:
            other = shown(pictures[file.stem], builder.root)
            builder.report("duplicate-picture-id", file=file, item=other, field="file name", value=file.stem)
        else:
            pictures[file.stem] = file
    return pictures


def _labels_by_stem(
    place: Place, on_disk: Mapping[str, Path], files: _LabelFiles, builder: LabelBuilder
) -> dict[str, list[Path]]:
    """The label files of each picture; `a.defect.xml` belongs to `a.jpg` where there is no `a.defect.jpg`."""
    labels: dict[str, list[Path]] = defaultdict(list)
    # A label whose picture a list names, this split's or another's, is reported there: as a missing picture.
    lists = [] if place.listing is None else sorted(place.listing.parent.glob("*.txt"))
    listed = {Path(entry).stem if is_picture(entry) else entry for file in lists for _, entry in _entries(file)}
    for file in sorted(place.labels.glob("*.xml")):
        stem = file.stem
        while stem not in on_disk and "." in stem:
            stem = stem.rpartition(".")[0]
        if stem not in on_disk:
            parsed = files.parsed(file)
            stem = Path(parsed.file_name.replace("\\", "/")).stem if isinstance(parsed, _Annotation) else ""
        if stem in on_disk:
            labels[stem].append(file)
        elif file.stem not in listed:
            item, value = shown(file, builder.root), f"{file.stem}.*"
            builder.report("label-without-picture", file=file, item=item, field="picture", value=value)
    return labels


def _listed(place: Place, listing: Path, on_disk: Mapping[str, Path], builder: LabelBuilder) -> list[str]:
    """The stems that a list names and that are on disk, in its order."""
    stems: dict[str, None] = {}
    entries = _entries(listing)
    builder.findings += text_findings(listing.read_bytes(), listing, builder.root)
    for number, entry in entries:
        item = f"{shown(listing, builder.root)}: line {number}"
        path = inside(builder.root, place.pictures, entry)
        stem = Path(entry).stem if is_picture(entry) else entry
        if path is None:
            builder.report("path-outside", file=Path(entry), item=item, field="id", value=entry)
        elif stem in stems:
            builder.report("duplicate-picture-id", file=on_disk[stem], item=item, field="id", value=entry)
        elif stem in on_disk:
            stems[stem] = None
        else:
            missing = place.pictures / (entry if is_picture(entry) else f"{entry}.jpg")
            builder.report("picture-missing", file=missing, item=item, field="picture", value=entry)
    return list(stems)


def _entries(listing: Path) -> list[tuple[int, str]]:
    """Line number and picture id of each line; a second column (a class's presence) is not used."""
    return [(number, line.split()[0]) for number, line in enumerate(_lines(listing), start=1) if line.strip()]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as a list: {error}; write it as UTF-8 text") from None


def _parse(file: Path, root: Path) -> _Annotation | str:
    try:
        data = file.read_bytes()
        text = _text(data)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            return "declares a document type or entities, which are not accepted"
        tree = ElementTree.fromstring(text)
    except (OSError, ValueError, LookupError, ElementTree.ParseError) as error:
        return str(error)
    if tree.tag != "annotation":
        return f"the root is <{tree.tag}>; <annotation> is expected"
    objects = tuple(_object(number, entry) for number, entry in enumerate(tree.findall("object"), start=1))
    height, width = (_whole(tree.findtext(f"size/{side}")) for side in ("height", "width"))
    file_name = (tree.findtext("filename") or "").strip()
    return _Annotation(
        objects=objects,
        size_hw=(height, width) if height and width else (0, 0),
        file_name=file_name,
        peculiarities=tuple(text_findings(data, file, root)),
    )


def _text(data: bytes) -> str:
    """Decode as the XML declaration says, UTF-8 by default, and drop the declaration, which would contradict."""
    declared = re.match(rb"""\s*<\?xml[^>]*encoding=["']([\w.-]+)["']""", data)
    encoding = declared[1].decode("ascii") if declared else "utf-8"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif encoding.lower().replace("-", "") in ("utf8", "ascii", "usascii"):
        encoding = "utf-8-sig"
    return re.sub(r"^\s*<\?xml[^>]*\?>", "", data.decode(encoding).removeprefix("\ufeff"), count=1)


def _object(number: int, entry: ElementTree.Element) -> _Object:
    written = [entry.findtext(f"bndbox/{corner}") for corner in _CORNERS]
    try:
        corners = tuple(float(text) for text in written if text is not None)
    except ValueError:
        corners = ()
    return _Object(
        number=number,
        name=(entry.findtext("name") or "").strip(),
        corners=corners if len(corners) == len(_CORNERS) else None,
        written=str(written),
        difficult=(entry.findtext("difficult") or "0").strip() == "1",
    )


def _whole(text: str | None) -> int:
    try:
        number = float(text or 0)
    except ValueError:
        return 0
    return int(number) if 0 < number < 1 << 31 else 0


def _places(root: Path) -> dict[str, Place]:
    annotations = root / "Annotations"
    if not annotations.is_dir():
        below = [child for child in sorted(root.iterdir()) if child.is_dir() and is_split_word(child.name)]
        apart = {canonical_split(child.name): Place(pictures=child, labels=child) for child in below if _has_voc(child)}
        return apart or ({"all": Place(pictures=root, labels=root)} if _has_voc(root) else {})
    folders = [root / name for name in _PICTURE_FOLDERS if (root / name).is_dir()] or [root / _PICTURE_FOLDERS[0]]
    lists = {file.stem: file for file in sorted((root / "ImageSets" / "Main").glob("*.txt"))}
    # `dog_train.txt` beside `train.txt` says which pictures of train show a dog.
    lists = {stem: file for stem, file in lists.items() if stem.rpartition("_")[2] not in lists or "_" not in stem}
    if lists:
        return {
            canonical_split(stem): Place(pictures=folders[0], labels=annotations, listing=file)
            for stem, file in lists.items()
        }
    places = {}
    for child in sorted(annotations.iterdir()):
        if child.is_dir() and _has_voc(child):
            pictures = [folder / child.name for folder in folders if (folder / child.name).is_dir()]
            places[canonical_split(child.name)] = Place(pictures=[*pictures, folders[0]][0], labels=child)
    return places or ({"all": Place(pictures=folders[0], labels=annotations)} if _has_voc(annotations) else {})


def _has_voc(folder: Path) -> bool:
    """Whether one of the first XML files of a folder has VOC's root element."""
    for file in sorted(folder.glob("*.xml"))[:_PEEKED_FILES]:
        with file.open("rb") as stream:
            if b"<annotation" in stream.read(_PEEK_BYTES).replace(b"\0", b""):
                return True
    return False
