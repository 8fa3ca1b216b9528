"""Summaries of measured seconds."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from sanderling.benchmark.machine import this_machine
from sanderling.benchmark.result import PeakMemory, Timing
from tests.support.results import BENCHED


def test_a_timing_sums_up_what_was_measured() -> None:
    wall = [0.010] * 18 + [0.020, 0.100]
    timing = Timing.of(wall, [0.009] * 20)
    assert timing.median_ms == 10
    assert timing.min_ms == 10
    assert timing.p95_ms == pytest.approx(float(np.percentile(wall, 95)) * 1e3, abs=1e-3)
    assert timing.cpu_ms == 9
    assert timing.pictures_per_s == pytest.approx(20 / 0.3, abs=0.01)


def test_one_measurement_is_its_own_summary() -> None:
    timing = Timing.of([0.5], [0.4])
    assert (timing.median_ms, timing.p95_ms, timing.min_ms, timing.pictures_per_s) == (500, 500, 500, 2)


def test_json_says_null_for_what_was_not_measured() -> None:
    result = dataclasses.replace(
        BENCHED,
        input_hw=(64, 96),
        timings={"network": Timing.of([0.5], [0.5])},
        peak_memory=PeakMemory(network=80.5),
        machine=this_machine(),
        accuracy=None,
    )
    plain = json.loads(json.dumps(result.to_plain()))
    assert plain["accuracy"] is None
    assert plain["peak_memory_mb"] == {"network": 80.5, "end_to_end": None}
    assert plain["input_hw"] == [64, 96]
    assert plain["timings"]["network"]["median_ms"] == 500
    assert plain["machine"]["cores"] >= 1
