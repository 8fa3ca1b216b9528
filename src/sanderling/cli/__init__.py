"""The command line: parses arguments, calls one function of `commands` per verb, prints what it returns."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sanderling import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        arguments: the words behind `sanderling`; those of this process by default.

    >>> main(["--version"])  # doctest: +ELLIPSIS
    sanderling ...
    0
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words == ["--version"]:
        # The parser would take ten times as long to say it.
        print(f"sanderling {__version__}")
        return 0
    from sanderling.cli.app import command
    from sanderling.cli.failures import INTERRUPTED, report

    try:
        command().main(args=words, prog_name="sanderling")
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        return report(KeyboardInterrupt()) if code == INTERRUPTED else code
    except (Exception, KeyboardInterrupt) as error:
        return report(error, debug="--debug" in words)
    return 0
