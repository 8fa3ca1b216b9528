"""Ray's calls in this process, for tests where it is not installed."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FakeRay:
    """Ray's calls, one after another in this process; tasks come back last first."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    tasks: dict[int, Callable[[], Any]] = field(default_factory=dict)
    running: bool = False
    dies: str = ""

    def module(self) -> types.ModuleType:
        module: Any = types.ModuleType("ray")
        module.exceptions = types.SimpleNamespace(RayError=type("RayError", (Exception,), {}))
        module.is_initialized = lambda: self.running
        module.init = self._init
        module.remote = self._remote
        module.wait = self._wait
        module.get = lambda reference: self._get(reference, module.exceptions.RayError)
        module.cancel = lambda reference, force: self.cancelled.append(reference)
        return module

    def _init(self, **_: Any) -> None:
        assert not self.running
        self.running = True

    def _remote(self, **options: Any) -> Any:
        self.asked.append(options)

        def decorate(function: Callable[..., Any]) -> Any:
            def start(*arguments: Any) -> int:
                assert self.running
                self.tasks[len(self.tasks)] = lambda: (function(*arguments), arguments[1].name)
                return len(self.tasks) - 1

            return types.SimpleNamespace(remote=start)

        return decorate

    def _wait(self, references: Sequence[int], num_returns: int) -> tuple[list[int], list[int]]:
        return list(references)[-num_returns:], list(references)[:-num_returns]

    def _get(self, reference: int, error: type[Exception]) -> Any:
        value, name = self.tasks[reference]()
        if name == self.dies:
            raise error("the worker died\nunexpectedly")
        return value
