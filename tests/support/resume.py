"""A long run of the tests that goes on where it stopped: what has passed with the same sources is not run again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

_WATCHED = ("src", "tests", "pyproject.toml")


def sources_sha256(root: Path) -> str:
    """A hash of everything that the outcome of a test depends on, installed packages aside."""
    digest = hashlib.sha256()
    for name in _WATCHED:
        place = root / name
        files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
        for file in files:
            if "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(root)}\n".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


class Resume:
    """Notes what passes, in a file named after the sources, and leaves out what the file already has.

    With pytest-xdist the first process reads and writes the file, and the workers leave out what it tells them: all
    have to collect the same, also one that replaces another later.
    """

    def __init__(self, folder: Path, config: pytest.Config) -> None:
        self._file = folder / f"{sources_sha256(config.rootpath)[:16]}.passed"
        told = getattr(config, "workerinput", None)
        self._notes = told is None
        self._failed: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)
        if told is not None:
            self._passed = set(told["passed"])
        else:
            self._passed = set(self._file.read_text(encoding="utf-8").splitlines()) if self._file.is_file() else set()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist what to leave out."""
        node.workerinput["passed"] = sorted(self._passed)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what has passed."""
        known = [item for item in items if item.nodeid in self._passed]
        if known:
            items[:] = [item for item in items if item.nodeid not in self._passed]
            config.hook.pytest_deselected(items=known)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what passes, tearing down included; a test that is skipped or fails is run again."""
        if not report.passed:
            self._failed.add(report.nodeid)
        elif report.when == "teardown" and report.nodeid not in self._failed and self._notes:
            with self._file.open("a", encoding="utf-8") as notes:
                notes.write(report.nodeid + "\n")

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Nothing left to run is a success."""
        nothing = exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
        if nothing and self._passed and not session.config.option.keyword:
            session.exitstatus = pytest.ExitCode.OK
