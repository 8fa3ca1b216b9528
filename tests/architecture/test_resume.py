"""A long test run that was stopped goes on where it was, unless the sources have changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.resume import sources_sha256

ROOT = Path(__file__).parents[2]
TESTS = "def test_good() -> None:\n    assert True\n\ndef test_bad() -> None:\n    assert False\n"


def _run(folder: Path) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--resume-in", "passed", "tests"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "src").mkdir()
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    plugin = "from pathlib import Path\nfrom resume import Resume\n\n"
    options = "def pytest_addoption(parser):\n    parser.addoption('--resume-in')\n\n"
    register = "def pytest_configure(config):\n    folder = Path(config.getoption('--resume-in'))\n"
    register += "    config.pluginmanager.register(Resume(folder, config.rootpath))\n"
    (tmp_path / "tests" / "resume.py").write_text((ROOT / "tests" / "support" / "resume.py").read_text())
    (tmp_path / "tests" / "conftest.py").write_text(plugin + options + register)
    (tmp_path / "tests" / "test_two.py").write_text(TESTS)
    return tmp_path


def test_what_passed_is_left_out_and_what_failed_is_not(project: Path) -> None:
    assert "1 failed, 1 passed" in _run(project)
    assert "1 failed, 1 deselected" in _run(project)


def test_other_sources_begin_anew(project: Path) -> None:
    _run(project)
    before = sources_sha256(project)
    (project / "src" / "new.py").write_text("x = 1\n")
    assert sources_sha256(project) != before
    assert "1 failed, 1 passed" in _run(project)
