from __future__ import annotations

import tomllib
from pathlib import Path

import sanderling


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["version"] == sanderling.__version__
