"""Measuring in turns."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest

from sanderling.benchmark.measure import measure
from sanderling.errors import DataError, ModelError, UsageError
from tests.support.artefacts import TINY_HW, tiny_artefact, write_picture

_PARTS = ("decode", "fit", "network", "postprocess")


@pytest.fixture
def picture(tmp_path: Path) -> bytes:
    return write_picture(tmp_path / "p.jpg", size_hw=(333, 250)).read_bytes()


def test_every_artefact_gets_every_figure(tmp_path: Path, picture: bytes) -> None:
    second = Path(shutil.copy(tiny_artefact(), tmp_path / "second.onnx"))
    threads_before = cv2.getNumThreads()
    done: list[tuple[int, int]] = []
    results = measure(
        [tiny_artefact(), second],
        pictures=[picture, picture],
        threads=1,
        rounds=6,
        score=0.25,
        memory=False,
        progress=lambda count, total: done.append((count, total)),
    )
    assert [result.artefact for result in results] == [str(tiny_artefact()), str(second)]
    assert cv2.getNumThreads() == threads_before
    assert done[-1][0] == done[-1][1] == len(done) > 6
    for result in results:
        assert (result.threads, result.rounds, result.pictures, result.input_hw) == (1, 6, 2, TINY_HW)
        assert result.accuracy is None
        assert result.peak_memory.network is None
        assert set(result.timings) == {"end_to_end", *_PARTS}
        for timing in result.timings.values():
            assert 0 < timing.min_ms <= timing.median_ms <= timing.p95_ms
        # The whole is at least its dearest part, and no quicker than its quickest parts together.
        whole = result.timings["end_to_end"]
        parts = [result.timings[name] for name in ("decode", "fit", "postprocess")]
        assert whole.min_ms >= sum(part.min_ms for part in parts) - 0.01


def test_memory_is_measured_when_wanted(picture: bytes) -> None:
    (result,) = measure([tiny_artefact()], pictures=[picture], threads=1, rounds=1, score=0.25)
    assert result.peak_memory.network is not None
    assert result.peak_memory.end_to_end is not None


def test_what_cannot_be_measured_is_an_error(tmp_path: Path, picture: bytes) -> None:
    with pytest.raises(UsageError, match="at least one artefact and one picture"):
        measure([tiny_artefact()], pictures=[], threads=1, rounds=1, score=0.25)
    with pytest.raises(ModelError, match="no such artefact"):
        measure([tmp_path / "absent.onnx"], pictures=[picture], threads=1, rounds=1, score=0.25)
    with pytest.raises(DataError, match="picture in memory: "):
        measure([tiny_artefact()], pictures=[b"no picture"], threads=1, rounds=1, score=0.25)
