"""What one training of a study gave, as a file that appears whole: a study that was stopped reads it and goes on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanderling import config
from sanderling.errors import UsageError

Plain = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One training, or one evaluation with the weights of another.

    Attributes:
        run: plain values of what was run.
        inputs: digests of the files that it read, by what they are.
        weights_of: of an evaluation, the digest of the result whose training made the weights.
        metrics: name to fraction; None where it failed.
        error: why it failed, else None.
        seconds: wall time.
        epoch_s: seconds of each epoch; empty for an evaluation.
    """

    run: Plain
    inputs: Plain = field(default_factory=dict)
    weights_of: str | None = None
    metrics: Mapping[str, float | None] | None = None
    error: str | None = None
    seconds: float = 0.0
    epoch_s: tuple[float, ...] = ()


def write_result(file: Path, result: Result) -> None:
    """Write it; the file appears whole or not at all."""
    write_json(file, dataclasses.asdict(result))


def read_result(file: Path, run: Plain, inputs: Plain, *, overwrite: bool) -> Result | None:
    """What is in the file if it is of an equal run on equal files and did not fail; None where it has to be done.

    Args:
        file: may be missing.
        run: plain values of what is wanted.
        inputs: digests of the files that it reads now.
        overwrite: take a file of another run for missing.

    Raises:
        UsageError: the file is of another run or of other files, and `overwrite` is off; or it is none of ours.
    """
    if not file.is_file():
        return None
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
        found = Result(**{**plain, "epoch_s": tuple(plain["epoch_s"])})
    except (ValueError, TypeError, KeyError):
        if overwrite:
            return None
        raise UsageError(f"{file}: holds no result of a study; name another folder, or --overwrite") from None
    why = _other_run(found, run, inputs)
    if why is None:
        return found if found.error is None else None
    if overwrite:
        return None
    raise UsageError(f"{file}: is of another run: {why}; name another folder, or train this one again: --overwrite")


def _other_run(found: Result, run: Plain, inputs: Plain) -> str | None:
    """What a result differs in from what is wanted."""
    for key, there, wanted in config.differences(found.run, run):
        return f"{key} is {there!r} there and {wanted!r} is asked for"
    for name, _, _ in config.differences(found.inputs, inputs):
        return f"the files of its {name} are others by now"
    return None


def digest_of(file: Path) -> str:
    """Tells the result in a file from every other: no two trainings take the same time to the millisecond."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write_json(file: Path, plain: Any) -> None:
    """Write plain values as JSON, whole or not at all.

    Raises:
        ValueError: they hold NaN or infinity.
    """
    write_whole(file, json.dumps(plain, indent=1, allow_nan=False) + "\n")


def write_whole(file: Path, text: str) -> None:
    """Write text; the file appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
