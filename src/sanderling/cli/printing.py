"""What a verb prints: JSON for programs, tables for people. Nothing else goes to standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sanderling.errors import UsageError

if TYPE_CHECKING:
    from sanderling.reporting.tables import Table

STANDARD_OUTPUT = "-"
_WIDEST = 160


def for_people(result: Any, destination: str | None) -> bool:
    """Write plain values as JSON where they were asked for; say whether people shall see a table.

    Args:
        result: nested mappings, lists and scalars.
        destination: a file, `-` for standard output (and then nothing else may be printed), or None.

    Raises:
        UsageError: the file cannot be written.
        ValueError: the values hold NaN or infinity, for which JSON has no words.
    """
    if destination is not None:
        text = json.dumps(result, indent=1, allow_nan=False) + "\n"
        with opened(destination) as file:
            file.write(text)
    return destination != STANDARD_OUTPUT


@contextmanager
def opened(destination: str) -> Iterator[TextIO]:
    """The stream that a destination stands for; a file gets its name when it is complete.

    Raises:
        UsageError: the file cannot be written.
    """
    if destination == STANDARD_OUTPUT:
        with _unless_closed():
            yield sys.stdout
            sys.stdout.flush()
        return
    path = Path(destination)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = partial.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--json {destination}: cannot be written: {error.strerror}; name another file") from None
    try:
        with file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def say(text: str) -> None:
    """Print a line for people."""
    with _unless_closed():
        print(text, flush=True)


def show(*tables: Table) -> None:
    """Print tables for people."""
    from rich.console import Console

    from sanderling.reporting.tables import rich_table

    # Where nobody watches there is no width to fit into.
    console = Console(width=None if sys.stdout.isatty() else _WIDEST, highlight=False)
    with _unless_closed():
        for table in tables:
            if table.rows:
                console.print(rich_table(table))


@contextmanager
def _unless_closed() -> Iterator[None]:
    """Go on quietly where the reader of standard output has left (`| head`): the exit code still says what was."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
