"""What a user may point at, told apart and put in order before anything is read.

Files, folders, globs, `.txt` lists, videos, a camera number, stream addresses; in memory a NumPy RGB array, a PIL
picture or the bytes of a file.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sanderling import pictures
from sanderling.errors import DataError, UsageError
from sanderling.pictures import PICTURE_SUFFIXES
from sanderling.streams.video import read_video, without_credentials

VIDEO_SUFFIXES = frozenset({".asf", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"})
_ADDRESS = re.compile(r"(rtsp|rtmp|http|https|tcp|udp)://", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Frame:
    """One picture on its way in.

    Attributes:
        image: uint8 HxWx3, RGB.
        source: the file or address (without user and password) that it comes from; `picture 0`, `picture 1` ... for
            pictures in memory.
        number: number of the frame in its video, None for a still picture.
        original_hw: height and width of the picture, larger than `image` where it was decoded at a reduced scale.
        frames_per_second: of its video, None when still or unknown.
    """

    image: NDArray[np.uint8]
    source: str
    number: int | None
    original_hw: tuple[int, int]
    frames_per_second: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Unreadable:
    """A source that is there and could not be read."""

    source: str
    error: DataError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _InMemory:
    content: Any
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Video:
    address: str


Item = Path | _Video | _InMemory


def locate(sources: Sequence[Any]) -> list[Item]:
    """Tell the sources apart and expand folders, globs and lists, in natural order.

    Raises:
        DataError: a source does not exist or holds nothing that can be read.
        UsageError: a source of a type that is not known.
    """
    items: list[Item] = []
    for source in sources:
        if isinstance(source, str | Path):
            items.extend(_from_text(str(source)))
        elif isinstance(source, int):
            items.append(_Video(address=str(source)))
        else:
            items.append(_InMemory(content=source, name=f"picture {len(items)}"))
    return items


def folders(items: Sequence[Item]) -> set[Path]:
    """The folders that hold the files among what was located, links followed."""
    on_disk = [item for item in items if not isinstance(item, _InMemory)]
    files = [Path(item.address) if isinstance(item, _Video) else item for item in on_disk]
    parents = {file.parent for file in files if file.is_file()}
    return {parent.resolve() for parent in parents} | {file.resolve().parent for file in files if file.is_symlink()}


def read(items: Sequence[Item], *, smallest_hw: tuple[int, int] | None = None) -> Iterator[Frame | Unreadable]:
    """Read what was located, one picture at a time; what cannot be read comes out as `Unreadable`.

    Args:
        items: from `locate`.
        smallest_hw: when given, JPEG files may be decoded at a reduced scale that is not smaller than this.

    Raises:
        MissingDependencyError: a video without the package that reads videos.
    """
    for item in items:
        try:
            if isinstance(item, _Video):
                for number, (image, rate) in enumerate(read_video(item.address)):
                    yield _frame(image, _name(item), number=number, frames_per_second=rate)
            elif isinstance(item, _InMemory):
                yield _frame(_to_rgb(item.content, item.name), item.name)
            else:
                yield _read_file(item, smallest_hw)
        except DataError as error:
            yield Unreadable(source=_name(item), error=error)


def _name(item: Item) -> str:
    if isinstance(item, _Video):
        return without_credentials(item.address)
    return item.name if isinstance(item, _InMemory) else str(item)


def _frame(
    image: NDArray[np.uint8], source: str, *, number: int | None = None, frames_per_second: float | None = None
) -> Frame:
    return Frame(
        image=image,
        source=source,
        number=number,
        original_hw=(image.shape[0], image.shape[1]),
        frames_per_second=frames_per_second,
    )


def _read_file(path: Path, smallest_hw: tuple[int, int] | None) -> Frame:
    if smallest_hw is None:
        return _frame(pictures.decode(path), str(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        image = pictures.decode(data, smallest_hw=smallest_hw)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    here = (image.shape[0], image.shape[1])
    stated = pictures.jpeg_size(data) if data[:2] == b"\xff\xd8" else None
    # The header's size is before EXIF orientation, the picture's after it.
    turned = stated is not None and (stated[0] - stated[1]) * (here[0] - here[1]) < 0
    original = here if stated is None else stated[::-1] if turned else stated
    return Frame(image=image, source=str(path), number=None, original_hw=(original[0], original[1]))


def _from_text(text: str) -> list[Item]:
    if text.isdecimal() or _ADDRESS.match(text):
        return [_Video(address=text)]
    path = Path(text)
    if path.is_dir():
        return _from_folder(path)
    if path.is_file():
        return _from_file(path)
    if glob.has_magic(text):
        # Unlike Path.glob this takes absolute patterns and leaves hidden files alone.
        found = [Path(name) for name in sorted(glob.glob(text, recursive=True), key=natural_key)]  # noqa: PTH207
        items = [item for match in found if _is_readable(match) for item in _from_file(match)]
        if not items:
            raise DataError(f"{text}: {len(found)} files match, no picture or video among them; check the pattern")
        return items
    raise DataError(
        f"{text}: no such file, folder or pattern (looked in {Path.cwd()}); "
        "name a picture, a folder, a glob in quotes, a .txt list, a video, a camera number or a stream address"
    )


def _from_folder(folder: Path) -> list[Item]:
    names = sorted(folder.iterdir(), key=lambda path: natural_key(path.name))
    items = [item for path in names if path.is_file() and _is_readable(path) for item in _from_file(path)]
    if not items:
        raise DataError(
            f"{folder}: holds no picture or video; for its subfolders use a glob in quotes: '{folder}/**/*.jpg'"
        )
    return items


def _from_file(path: Path) -> list[Item]:
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return [_Video(address=str(path))]
    if suffix == ".txt":
        return _from_list(path)
    if suffix not in PICTURE_SUFFIXES:
        raise DataError(
            f"{path}: files ending in {suffix or 'nothing'!r} are no known pictures or videos; "
            f"known: {' '.join(sorted(PICTURE_SUFFIXES | VIDEO_SUFFIXES | {'.txt'}))}"
        )
    return [path]


def _from_list(path: Path) -> list[Item]:
    """The sources that a text file lists, one a line, relative to the file itself."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; mend its rights") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text; a list names one picture a line") from None
    items: list[Item] = []
    for number, line in enumerate(lines, start=1):
        if not line or line.startswith("#"):
            continue
        entry = path.parent / line
        if not entry.is_file() or not _is_readable(entry):
            raise DataError(
                f"{path}: line {number} names {line!r}: no picture or video of that name beside the list; mend the line"
            )
        items.extend(_from_file(entry))
    if not items:
        raise DataError(f"{path}: lists nothing; name one picture a line")
    return items


def _is_readable(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts `9.jpg` before `10.jpg`."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _to_rgb(content: Any, name: str) -> NDArray[np.uint8]:
    if isinstance(content, np.ndarray):
        if content.dtype != np.uint8 or content.ndim != 3 or content.shape[2] != 3 or not content.size:
            raise UsageError(f"{name} is {content.dtype} {content.shape}; a uint8 HxWx3 RGB array is expected")
        return content
    if isinstance(content, bytes | bytearray | memoryview):
        return pictures.decode(bytes(content))
    if hasattr(content, "convert") and hasattr(content, "size"):
        from PIL import ImageOps

        return np.asarray(ImageOps.exif_transpose(content).convert("RGB"), np.uint8)
    raise UsageError(
        f"{name} is a {type(content).__name__}; a path, a NumPy RGB array, a PIL picture or bytes are expected"
    )
