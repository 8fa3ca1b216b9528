"""Writing a data set's folder: whole or not at all, pictures linked rather than copied."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sanderling.datasets.dataset import Dataset
from sanderling.errors import UsageError
from sanderling.pictures import PICTURE_SUFFIXES


@contextlib.contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Give a folder beside `output` to write into; it takes that name when all went well and vanishes otherwise.

    Raises:
        UsageError: `output` exists already.
    """
    if os.path.lexists(output):
        raise UsageError(f"{output}: exists already; name a folder that does not exist, or remove it")
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        yield draft
        # mkdtemp is private to the user; the result gets the rights that any new folder has.
        mask = os.umask(0)
        os.umask(mask)
        draft.chmod(0o777 & ~mask)
        draft.rename(output)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def link_or_copy(picture: Path, target: Path) -> None:
    """Put a picture at `target` without using disk space where the file system allows it.

    Raises:
        OSError: the picture is missing or cannot be read.
    """
    source = picture.resolve(strict=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def file_names(dataset: Dataset) -> list[str]:
    """A file name for every picture, such that no two share a stem (they would share a label file)."""
    names: list[str] = []
    taken: set[str] = set()
    for path in (Path(text) for text in dataset.picture_paths.tolist()):
        suffix = path.suffix if path.suffix.lower() in PICTURE_SUFFIXES else f"{path.suffix}.jpg"
        stem = path.name.removesuffix(path.suffix)
        candidate, number = stem, 1
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{path.parent.name}_{stem}" if number == 2 else f"{path.parent.name}_{stem}_{number}"
        taken.add(candidate.casefold())
        names.append(candidate + suffix)
    return names
