"""Opening an artefact of any engine."""

from __future__ import annotations

import os
from pathlib import Path

from sanderling.errors import ModelError
from sanderling.runtimes.detector import ArtefactDetector
from sanderling.runtimes.onnx import OnnxEngine
from sanderling.runtimes.sidecar import read_sidecar

ARTEFACT_SUFFIXES = (".onnx",)
_MOST_THREADS = 4


def open_artefact(path: Path, *, threads: int | None = None) -> ArtefactDetector:
    """Load an exported model; its `with_rules` gives it other thresholds.

    Args:
        path: the artefact; its sidecar is looked for beside it, then inside it.
        threads: threads per picture; by default as many as this process may use, at most 4 (small networks do not
            gain from more).

    Raises:
        ModelError: missing, not an artefact, or of another version.
        MissingDependencyError: its engine is not installed.

    >>> open_artefact(Path("missing.onnx"))
    Traceback (most recent call last):
    sanderling.errors.ModelError: missing.onnx: no such artefact
    """
    if path.suffix not in ARTEFACT_SUFFIXES:
        raise ModelError(f"{path}: is no artefact that can be run; known: {', '.join(ARTEFACT_SUFFIXES)}")
    engine = OnnxEngine(path, threads=default_threads() if threads is None else threads)
    artefact = read_sidecar(path, engine.metadata)
    if artefact.engine != "onnx":
        raise ModelError(
            f"{path}: its sidecar is of the engine {artefact.engine!r}; bring the sidecar of the ONNX file"
        )
    engine.fit(artefact)
    return ArtefactDetector(engine, artefact)


def default_threads() -> int:
    """As many threads as this process may use, at most 4."""
    return min(len(os.sched_getaffinity(0)), _MOST_THREADS)
