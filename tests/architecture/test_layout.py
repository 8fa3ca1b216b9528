"""Where things stand and what they are called."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sanderling

ROOT = Path(__file__).parents[2]
PACKAGE = Path(sanderling.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
DRAWERS = {"util", "utils", "misc", "common", "helper", "helpers", "core"}


def _does_something(source: Path) -> bool:
    """Whether a file defines more than names and constants."""
    body = ast.parse(source.read_text()).body
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in body)


def _is_covered(source: Path) -> bool:
    inside = source.relative_to(PACKAGE)
    names = {"__init__": ["init", inside.parent.name], "__main__": ["main"]}.get(inside.stem, [inside.stem])
    return any((ROOT / "tests" / inside.parent / f"test_{name}.py").exists() for name in names)


def test_every_source_file_has_its_test_file() -> None:
    missing = [str(source) for source in SOURCES if _does_something(source) and not _is_covered(source)]
    assert not missing


@pytest.mark.parametrize("folder", ["src", "tests", "scripts", "benchmarks", "docs"])
def test_nothing_is_called_like_a_drawer(folder: str) -> None:
    assert not [path for path in (ROOT / folder).rglob("*") if path.stem in DRAWERS]


def test_every_source_file_says_what_it_is_for() -> None:
    silent = [str(path) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent


def test_no_file_is_too_long_to_be_one_thing() -> None:
    long = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {name: lines for name, lines in long.items() if lines > 450}


def test_nothing_is_left_undone() -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error")
    assert not [path for path in SOURCES if any(mark in path.read_text() for mark in marks)]


def test_scripts_can_be_run() -> None:
    for name in ("scripts/demo", "scripts/test", "scripts/check", ".ci/run"):
        assert (ROOT / name).stat().st_mode & 0o111, name
