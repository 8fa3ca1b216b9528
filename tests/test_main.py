from __future__ import annotations

import runpy
import sys

import pytest


def test_the_module_runs_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["sanderling", "--version"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("sanderling", run_name="__main__")
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("sanderling ")
