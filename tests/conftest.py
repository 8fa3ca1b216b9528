"""One thread for numerical libraries, whatever the machine has: tests share it with each other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.resume import Resume

os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["tests.support.command_line"]


def pytest_configure(config: pytest.Config) -> None:
    """Leave out what has passed before, where `scripts/test --all` asks for it."""
    if folder := os.environ.get("RESUME_TESTS_IN"):
        config.pluginmanager.register(Resume(Path(folder), config), "resume")
