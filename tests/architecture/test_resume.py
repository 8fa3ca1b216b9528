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


def _run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        # Installed plugins take longer to load than these tests to run.
        env={**os.environ, "PYTHONPATH": f"{ROOT}", "RESUME_TESTS_IN": "passed", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "src").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["tests"]\n')
    plugin = "import os\nfrom pathlib import Path\nfrom resume import Resume\n\n"
    register = "def pytest_configure(config):\n"
    register += "    config.pluginmanager.register(Resume(Path(os.environ['RESUME_TESTS_IN']), config))\n"
    (tmp_path / "tests" / "resume.py").write_text((ROOT / "tests" / "support" / "resume.py").read_text())
    (tmp_path / "tests" / "conftest.py").write_text(plugin + register)
    (tmp_path / "tests" / "test_two.py").write_text(TESTS)
    return tmp_path


def test_what_passed_is_left_out_and_what_failed_is_not(project: Path) -> None:
    assert "1 failed, 1 passed" in _run(project).stdout
    assert "1 failed, 1 deselected" in _run(project).stdout


def test_other_sources_begin_anew(project: Path) -> None:
    _run(project)
    before = sources_sha256(project)
    (project / "src" / "new.py").write_text("x = 1\n")
    assert sources_sha256(project) != before
    assert "1 failed, 1 passed" in _run(project).stdout


@pytest.mark.slow
def test_workers_leave_out_the_same_and_the_first_process_alone_takes_notes(project: Path) -> None:
    assert "1 failed, 1 passed" in _run(project, "-p", "xdist", "-n", "1").stdout
    (notes,) = (project / "passed").iterdir()
    assert notes.read_text() == "tests/test_two.py::test_good\n"
    assert "1 failed in" in _run(project, "-p", "xdist", "-n", "1").stdout


def test_what_fails_while_it_is_torn_down_is_run_again(project: Path) -> None:
    fixture = "import pytest\n\n@pytest.fixture\ndef broken():\n    yield\n    raise OSError\n\n"
    (project / "tests" / "test_two.py").write_text(fixture + "def test_good(broken) -> None:\n    assert True\n")
    assert "1 passed, 1 error" in _run(project).stdout
    assert not list((project / "passed").iterdir())


def test_nothing_left_to_run_is_a_success(project: Path) -> None:
    (project / "tests" / "test_two.py").write_text("def test_good() -> None:\n    assert True\n")
    for _ in range(2):
        assert _run(project).returncode == 0
    assert _run(project, "-k", "nothing").returncode == 5
