"""Where a verb puts its results: the folder that the user names, else the next free one under `runs/`."""

from __future__ import annotations

import itertools
from pathlib import Path

from sanderling.errors import UsageError

_RUNS = Path("runs")


def output_folder(verb: str, name: str, output: Path | None, overwrite: bool) -> Path:
    """Make the folder of results of one run.

    Args:
        verb: what is run; the group under `runs/`.
        name: of the run; `NAME2`, `NAME3` ... where it is taken.
        output: the folder that the user named, taken as it is.
        overwrite: whether `output` may hold something already.

    Raises:
        UsageError: `output` is a file, cannot be made, or holds something and `overwrite` is off.

    >>> output_folder("train", "nanodet-m", None, False)  # doctest: +SKIP
    PosixPath('runs/train/nanodet-m')
    """
    if output is None:
        return _next_free(_RUNS / verb, name)
    try:
        output.mkdir(parents=True, exist_ok=True)
        taken = not overwrite and any(output.iterdir())
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"output {output}: is a file or inside one; name a folder") from None
    except OSError as error:
        raise UsageError(
            f"output {output}: cannot be made: {error.strerror}; name a folder that can be written"
        ) from None
    if taken:
        raise UsageError(f"output {output}: holds files already; name a new folder, or replace them: --overwrite")
    return output


def _next_free(group: Path, name: str) -> Path:
    for number in itertools.count(1):
        folder = group / (name if number == 1 else f"{name}{number}")
        try:
            # Making it is the test: two runs that start together get two folders.
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(f"{folder}: cannot be made: {error.strerror}; name a folder with -o") from None
        return folder
    raise AssertionError("numbers do not end")
