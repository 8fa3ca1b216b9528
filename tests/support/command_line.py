"""The command line inside the test's own process, and stand-ins for what it calls."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from sanderling.cli import main


@dataclass(frozen=True)
class Ran:
    """What one command line gave."""

    code: int
    out: str
    err: str


@dataclass
class StandIn:
    """Takes the place of a command, with its signature, and notes what it was called with."""

    result: Any
    signature: inspect.Signature
    called_with: dict[str, Any] = field(default_factory=dict)

    def __call__(self, *positional: Any, **named: Any) -> Any:
        self.called_with = dict(self.signature.bind(*positional, **named).arguments)
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


@dataclass(frozen=True)
class CommandLine:
    """Runs `sanderling WORDS...` and reads what it printed."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *words: object) -> Ran:
        code = main([str(word) for word in words])
        printed = self.capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    def stand_in(self, module: str, name: str, result: Any) -> StandIn:
        """Replace `sanderling.commands.MODULE.NAME` by something that returns (or raises) `result`."""
        home = importlib.import_module(f"sanderling.commands.{module}")
        original: Callable[..., Any] = getattr(home, name)
        replaced = StandIn(result, inspect.signature(original))
        self.monkeypatch.setattr(home, name, replaced)
        return replaced


@pytest.fixture
def command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line of this process."""
    # An outer setting would print tracebacks.
    monkeypatch.delenv("SANDERLING_DEBUG", raising=False)
    return CommandLine(capsys, monkeypatch)
