"""What can go wrong, each kind with the exit code that scripts rely on.

Every message names the thing, the value, the rule and the way out; `cli` prints it and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class SanderlingError(Exception):
    """Base of every error that a user can cause and mend. Never raised itself."""

    exit_code: ClassVar[int] = 70


class UsageError(SanderlingError):
    """A wrong argument, option or configuration value."""

    exit_code = 2


class DataError(SanderlingError):
    """A data set, annotation file or picture that cannot be used."""

    exit_code = 3


class ModelError(SanderlingError):
    """A weights file, model configuration or exported artefact that cannot be used."""

    exit_code = 4


class ExportError(SanderlingError):
    """An export that failed or did not agree with its model."""

    exit_code = 5


class RunError(SanderlingError):
    """A run that started and failed: diverged, out of memory, a worker died."""

    exit_code = 6


class MissingDependencyError(SanderlingError):
    """An engine or optional package that this command needs is not installed."""

    exit_code = 7

    @classmethod
    def for_extra(cls, package: str, *, extra: str, purpose: str) -> MissingDependencyError:
        """Name the missing package, what needs it, and the line that installs it.

        >>> print(MissingDependencyError.for_extra("torch", extra="train", purpose="training"))
        training needs the package 'torch', which is not installed; run: pip install 'sanderling[train]'
        """
        return cls(
            f"{purpose} needs the package {package!r}, which is not installed; run: pip install 'sanderling[{extra}]'"
        )


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return a hint for a mistyped name: the nearest choice, or all of them when none is near.

    >>> nearest("epoch", ["epochs", "batch"])
    "did you mean 'epochs'?"
    >>> nearest("zzz", ["epochs", "batch"])
    'known: batch, epochs'
    """
    known = sorted(choices)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return "known: " + ", ".join(known)
