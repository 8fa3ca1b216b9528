"""One thread for numerical libraries, whatever the machine has: tests share it with each other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.resume import Resume

os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["tests.support.command_line"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that `scripts/test --all` gives."""
    parser.addoption("--resume-in", metavar="FOLDER", help="leave out what has passed before with the same sources")


def pytest_configure(config: pytest.Config) -> None:
    """Set up what the options ask for."""
    folder = config.getoption("--resume-in")
    if folder:
        config.pluginmanager.register(Resume(Path(folder), config), "resume")
