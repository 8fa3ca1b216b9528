"""Latency and throughput of artefacts, measured in turns so that a passing disturbance meets all of them alike."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from sanderling.benchmark.machine import this_machine
from sanderling.benchmark.memory import peak_memory_mb
from sanderling.benchmark.result import BenchResult, PeakMemory, Timing
from sanderling.errors import UsageError
from sanderling.pictures import decode
from sanderling.runtimes.detector import ArtefactDetector
from sanderling.runtimes.open import open_artefact

_WARM_UP = 5
# The threads of an engine keep spinning for a moment after a picture; the next artefact waits until they sleep.
_SETTLE_S = 0.01

Progress = Callable[[int, int], None]


def measure(
    artefacts: Sequence[Path],
    *,
    pictures: Sequence[bytes],
    threads: int,
    rounds: int,
    score: float,
    memory: bool = True,
    progress: Progress | None = None,
) -> list[BenchResult]:
    """Measure artefacts on this machine.

    Args:
        artefacts: files, in the order of the results.
        pictures: bytes of picture files; they take turns, the same for every artefact.
        threads: threads per picture, for the engine and for OpenCV.
        rounds: measured pictures per artefact, after a warm-up.
        score: threshold of the post-processing.
        memory: also measure peak memory, in processes of their own.
        progress: called with rounds done and rounds in all.

    Raises:
        ModelError: a file is missing or no artefact.
        DataError: a picture cannot be decoded.
        RunError: the process that measures memory failed.
        MissingDependencyError: an engine is not installed.
    """
    if not artefacts or not pictures:
        raise UsageError("nothing to measure: at least one artefact and one picture are needed")
    machine = this_machine()
    turns = [_Turns(path, threads=threads, score=score) for path in artefacts]
    threads_before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        for index in range(_WARM_UP + rounds):
            picture = pictures[index % len(pictures)]
            # Nobody always comes first.
            start = index % len(turns)
            for turn in turns[start:] + turns[:start]:
                turn.take(picture, counts=index >= _WARM_UP)
                if threads > 1:
                    time.sleep(_SETTLE_S)
            if progress is not None:
                progress(index + 1, _WARM_UP + rounds)
    finally:
        cv2.setNumThreads(threads_before)
    return [
        BenchResult(
            artefact=str(turn.path),
            engine=turn.detector.artefact.engine,
            model=turn.detector.artefact.model,
            layout=turn.detector.artefact.layout,
            input_hw=turn.detector.picture.size_hw,
            megabytes=round(turn.path.stat().st_size / 1e6, 3),
            threads=threads,
            rounds=rounds,
            pictures=len(pictures),
            timings=turn.timings(),
            peak_memory=_peak_memory(turn.path, threads, pictures[0]) if memory else PeakMemory(),
            machine=machine,
        )
        for turn in turns
    ]


def _peak_memory(path: Path, threads: int, picture: bytes) -> PeakMemory:
    return PeakMemory(
        network=peak_memory_mb(path, threads=threads, picture=None),
        end_to_end=peak_memory_mb(path, threads=threads, picture=picture),
    )


class _Turns:
    """One artefact and the seconds that its turns took."""

    def __init__(self, path: Path, *, threads: int, score: float) -> None:
        opened = open_artefact(path, threads=threads)
        rule = dataclasses.replace(opened.postprocess, score=score)
        self.path = path
        self.detector: ArtefactDetector = opened.with_rules(picture=opened.picture, postprocess=rule)
        self._ready = np.copy(self.detector.ready())
        self._wall: dict[str, list[float]] = {}
        self._cpu: dict[str, list[float]] = {}

    def take(self, picture: bytes, *, counts: bool) -> None:
        """One picture end to end, its parts noted on the way, and the network once more on a ready tensor."""
        detector = self.detector
        times = [_now()]
        image = decode(picture)
        times.append(_now())
        prepared, placement = detector.prepare(image)
        times.append(_now())
        boxes_xyxy, scores = detector.infer(prepared)
        times.append(_now())
        detector.finish(boxes_xyxy[0], scores[0], placement)
        times.append(_now())
        np.copyto(self._ready, prepared)
        before = _now()
        detector.infer(self._ready)
        after = _now()
        if not counts:
            return
        spans = {
            "network": (before, after),
            "end_to_end": (times[0], times[-1]),
            "decode": (times[0], times[1]),
            "fit": (times[1], times[2]),
            "postprocess": (times[3], times[4]),
        }
        for name, (first, last) in spans.items():
            self._wall.setdefault(name, []).append(last[0] - first[0])
            self._cpu.setdefault(name, []).append(last[1] - first[1])

    def timings(self) -> dict[str, Timing]:
        """The summary, by name."""
        return {name: Timing.of(wall_s, self._cpu[name]) for name, wall_s in self._wall.items()}


def _now() -> tuple[float, float]:
    """Wall and processor seconds."""
    return time.perf_counter(), time.process_time()
