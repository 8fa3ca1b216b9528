"""The machine that figures belong to."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from sanderling.benchmark import machine
from sanderling.benchmark.machine import this_machine


def test_this_machine_is_described() -> None:
    found = this_machine()
    assert found.cpu
    assert found.cores >= 1
    assert found.python == platform.python_version()
    assert set(found.packages) >= {"onnxruntime", "numpy"}
    assert found.load is None or found.load >= 0


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n", "Some CPU @ 2 GHz"),
        ("processor\t: 0\nHardware\t: BCM2835\nModel\t\t: Board 4\n", "BCM2835"),
        ("processor\t: 0\n", platform.machine()),
        (None, platform.machine()),
    ],
)
def test_the_processor_has_a_name_on_every_board(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, name: str
) -> None:
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(machine, "_CPU_INFO", path)
    assert this_machine().cpu == name
