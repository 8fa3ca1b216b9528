from __future__ import annotations

import sys

import pytest

from sanderling import __version__
from sanderling.cli import main
from tests.support.command_line import CommandLine


def test_the_words_are_those_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sanderling", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"sanderling {__version__}\n"


def test_an_interruption_is_130(command_line: CommandLine) -> None:
    command_line.stand_in("models", "list_models", KeyboardInterrupt())
    ran = command_line("models")
    assert (ran.code, ran.out, ran.err) == (130, "", "interrupted\n")
