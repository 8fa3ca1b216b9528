"""From what went wrong to one line on standard error and an exit code that scripts rely on."""

from __future__ import annotations

import errno
import os
import sys
import traceback

from sanderling.errors import MissingDependencyError, RunError, SanderlingError, UsageError

INTERNAL, INTERRUPTED = 70, 130
_DEBUG_VARIABLE = "SANDERLING_DEBUG"
_EXTRAS = {"av": "video"}
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


def report(error: BaseException, *, debug: bool = False) -> int:
    """Print what went wrong and return the exit code; with `debug`, or where `SANDERLING_DEBUG` is set, the traceback.

    >>> from sanderling.errors import DataError
    >>> report(DataError("birds/: no data set here"))
    3
    """
    if debug or os.environ.get(_DEBUG_VARIABLE):
        traceback.print_exception(error)
    code, message = explain(error)
    print(message, file=sys.stderr)
    return code


def explain(error: BaseException) -> tuple[int, str]:
    """The exit code and the line for people."""
    if isinstance(error, SanderlingError):
        return error.exit_code, f"error: {error}"
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    if _is_out_of_memory(error):
        return RunError.exit_code, (
            f"error: out of memory ({_first_line(error)}); take a smaller --batch or --imgsz, or fewer --workers"
        )
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("sanderling"):
        package = error.name.partition(".")[0]
        missing = MissingDependencyError.for_extra(package, extra=_EXTRAS.get(package, "train"), purpose="this command")
        return missing.exit_code, f"error: {missing}"
    if isinstance(error, OSError) and error.errno in _FULL:
        return RunError.exit_code, f"error: {error.filename or 'a file'}: {error.strerror}; make room, then try again"
    if isinstance(error, OSError) and error.errno in _REFUSED and error.filename is not None:
        return UsageError.exit_code, f"error: {error.filename}: {error.strerror}; name another place or mend this one"
    return INTERNAL, (
        f"internal error: {type(error).__name__}: {_first_line(error)}\n"
        f"This is a fault of sanderling. Run the command again with {_DEBUG_VARIABLE}=1 and report the traceback."
    )


def _is_out_of_memory(error: BaseException) -> bool:
    """Torch is not imported to ask: its errors are told by name, and the processor's by their words."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["no message"])[0]
