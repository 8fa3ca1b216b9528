"""A long run of the tests that goes on where it stopped: what has passed with the same sources is not run again."""

from __future__ import annotations

import hashlib
from pathlib import Path

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
    """Notes what passes, in a file named after the sources, and leaves out what the file already has."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._file = folder / f"{sources_sha256(root)[:16]}.passed"
        folder.mkdir(parents=True, exist_ok=True)
        self._passed = set(self._file.read_text(encoding="utf-8").splitlines()) if self._file.is_file() else set()

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what has passed."""
        known = [item for item in items if item.nodeid in self._passed]
        if known:
            items[:] = [item for item in items if item.nodeid not in self._passed]
            config.hook.pytest_deselected(items=known)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what passes; a test that is skipped or fails is run again."""
        if report.when == "call" and report.passed:
            with self._file.open("a", encoding="utf-8") as notes:
                notes.write(report.nodeid + "\n")
