"""Peak memory of a fresh process."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from sanderling.benchmark import memory
from sanderling.benchmark.memory import own_peak_mb, peak_memory_mb
from sanderling.errors import RunError
from tests.support.artefacts import tiny_artefact, write_picture

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc to tell memory")


def test_a_child_holds_what_it_needs_and_not_what_its_parent_holds(tmp_path: Path) -> None:
    # The parent has torch loaded and this block: a figure inherited from it would be far above.
    block = np.ones(300 << 20, np.uint8)
    assert (own_peak_mb() or 0) > 400
    network = peak_memory_mb(tiny_artefact(), threads=1, picture=None)
    whole = peak_memory_mb(tiny_artefact(), threads=1, picture=write_picture(tmp_path / "p.jpg").read_bytes())
    assert network is not None
    assert whole is not None
    assert 30 < network < 200
    assert 30 < whole < 200
    assert block[-1] == 1


def test_a_larger_picture_takes_more(tmp_path: Path) -> None:
    small, large = (
        peak_memory_mb(
            tiny_artefact(), threads=1, picture=write_picture(tmp_path / "p.jpg", size_hw=size_hw).read_bytes()
        )
        for size_hw in ((64, 96), (3000, 4000))
    )
    assert small is not None
    assert large is not None
    assert large - small > 25


def test_a_child_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"absent\.onnx: the process that measures memory ended with 1: .*no such artefact"
    ):
        peak_memory_mb(tmp_path / "absent.onnx", threads=1, picture=None)


def test_where_the_system_does_not_tell_there_is_no_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "absent")
    assert own_peak_mb() is None


def test_measuring_loads_no_torch() -> None:
    import subprocess

    code = "import sys; sys.modules['torch'] = None; import sanderling.benchmark.measure, sanderling.commands.bench"
    subprocess.run([sys.executable, "-c", code], check=True)
