"""The machine that figures belong to: without it they mean nothing."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
_PACKAGES = ("onnxruntime", "numpy", "opencv-python-headless")


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What ran a measurement.

    Attributes:
        cpu: name of the processor.
        cores: how many this process may use.
        load: running processes on average over the last minute, before the measurement; None where not known.
        python: version of the interpreter.
        packages: version by package.
    """

    cpu: str
    cores: int
    load: float | None
    python: str
    packages: dict[str, str]


def this_machine() -> Machine:
    """Describe the machine as it is now."""
    return Machine(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        load=_load(),
        python=platform.python_version(),
        packages={package: found for package in _PACKAGES if (found := _version(package)) is not None},
    )


def _cpu_name() -> str:
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    facts = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    # Boards with ARM processors name the board instead.
    return facts.get("model name") or facts.get("hardware") or facts.get("model") or platform.machine()


def _load() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
