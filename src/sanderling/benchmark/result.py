"""What was measured of one artefact."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sanderling.benchmark.machine import Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """One thing, done many times, one picture each."""

    median_ms: float
    p95_ms: float
    min_ms: float
    cpu_ms: float
    """Median of the processor time, all threads together: the figure that a busy machine disturbs least."""
    pictures_per_s: float
    """Pictures by the time that all of them took."""

    @classmethod
    def of(cls, wall_s: Sequence[float], cpu_s: Sequence[float]) -> Timing:
        """Summarise measured seconds, one value per picture."""
        return cls(
            median_ms=round(float(np.median(wall_s)) * 1e3, 3),
            p95_ms=round(float(np.percentile(wall_s, 95)) * 1e3, 3),
            min_ms=round(min(wall_s) * 1e3, 3),
            cpu_ms=round(float(np.median(cpu_s)) * 1e3, 3),
            pictures_per_s=round(len(wall_s) / sum(wall_s), 2),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PeakMemory:
    """The most memory that a fresh process held, interpreter and libraries included, in MB (2**20 bytes).

    None where it was not measured.
    """

    network: float | None = None
    """A process that only runs the network on a ready tensor."""
    end_to_end: float | None = None
    """A process that decodes a picture, runs the network and gives detections."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchResult:
    """One artefact on one machine.

    Attributes:
        artefact: the file.
        engine: what ran it.
        model: name of the exported model.
        layout: of its outputs.
        input_hw: height and width of the network input.
        megabytes: size of the file, 10**6 bytes.
        threads: threads per picture, of the engine and of OpenCV alike.
        rounds: measured rounds, after the warm-up.
        pictures: how many different pictures took turns.
        timings: `network` (ready tensor to raw outputs, without pre- and post-processing), `end_to_end` (bytes of a
            picture file in memory to detections), and the parts of the latter: `decode`, `fit`, `postprocess`.
        peak_memory: of fresh processes.
        accuracy: metrics as fractions where a data set was given, else None.
        machine: what ran it.
    """

    artefact: str
    engine: str
    model: str
    layout: str
    input_hw: tuple[int, int]
    megabytes: float
    threads: int
    rounds: int
    pictures: int
    timings: dict[str, Timing]
    peak_memory: PeakMemory
    machine: Machine
    accuracy: dict[str, float | None] | None = None

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON; what was not measured is None."""
        plain = dataclasses.asdict(self)
        plain["input_hw"] = list(self.input_hw)
        plain["peak_memory_mb"] = plain.pop("peak_memory")
        return plain
