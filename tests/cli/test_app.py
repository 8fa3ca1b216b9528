from __future__ import annotations

import io
import logging
import sys

import pytest
import typer

from sanderling import __version__
from sanderling.cli.app import sanderling
from sanderling.errors import DataError
from tests.support.command_line import CommandLine


@pytest.mark.parametrize("words", [("--version",), ("--quiet", "--version")])
def test_the_version_is_printed(command_line: CommandLine, words: tuple[str, ...]) -> None:
    ran = command_line(*words)
    assert (ran.code, ran.out, ran.err) == (0, f"sanderling {__version__}\n", "")


@pytest.mark.parametrize("words", [(), ("data",), ("weights",)])
def test_a_group_without_a_verb_shows_its_help(command_line: CommandLine, words: tuple[str, ...]) -> None:
    ran = command_line(*words)
    assert ran.code == 2
    assert "Commands:" in ran.out + ran.err


def test_options_without_a_verb_are_wrong_use(command_line: CommandLine) -> None:
    ran = command_line("--quiet")
    assert (ran.code, ran.out) == (2, "")
    assert "sanderling --help" in ran.err


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_printed(command_line: CommandLine, flag: str) -> None:
    ran = command_line(flag)
    assert ran.code == 0
    assert "sanderling demo" in ran.out


def test_words_go_to_standard_error_and_less_of_them_when_quiet(command_line: CommandLine) -> None:
    class Talking(list[object]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            logging.getLogger("sanderling.commands").debug("a detail")
            logging.getLogger("sanderling.commands").info("a word")
            logging.getLogger("sanderling.commands").warning("take care")
            return super().__iter__()

    command_line.stand_in("predict", "predict", Talking())
    words = ("predict", "m.onnx", "a.jpg")
    assert command_line(*words).err == "a word\nwarning: take care\n"
    assert command_line("--quiet", *words).err == "warning: take care\n"
    assert command_line("--debug", *words).err == "debug: a detail\na word\nwarning: take care\n"
    assert command_line(*words).out == ""


def test_a_name_that_the_terminal_cannot_show_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    context = typer.Context(typer.main.get_command(typer.Typer(callback=lambda: None)))
    context.invoked_subcommand = "data"
    sanderling(context)
    print("\udcff\u2013.jpg", flush=True)
    assert raw.getvalue() == b"\\udcff\\u2013.jpg\n"


def test_debug_shows_the_traceback(command_line: CommandLine) -> None:
    command_line.stand_in("data", "check", DataError("x"))
    assert "Traceback" in command_line("--debug", "data", "check", "x").err
    assert command_line("data", "check", "x").err == "error: x\n"
