from __future__ import annotations

import errno
import os

import pytest

from sanderling.cli.failures import explain, report
from sanderling.errors import (
    DataError,
    ExportError,
    MissingDependencyError,
    ModelError,
    RunError,
    SanderlingError,
    UsageError,
)


class OutOfMemoryError(RuntimeError):
    """As torch names the one of its GPUs."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (DataError("x"), 3),
        (ModelError("x"), 4),
        (ExportError("x"), 5),
        (RunError("x"), 6),
        (MemoryError(), 6),
        (OutOfMemoryError("CUDA out of memory"), 6),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), 6),
        (MissingDependencyError("x"), 7),
        (ModuleNotFoundError("No module named 'timm'", name="timm"), 7),
        (ModuleNotFoundError("No module named 'sanderling.x'", name="sanderling.x"), 70),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 6),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), 6),
        (OSError(errno.EACCES, os.strerror(errno.EACCES), "birds"), 2),
        (OSError(errno.EEXIST, os.strerror(errno.EEXIST), "birds"), 2),
        (OSError(errno.EACCES, os.strerror(errno.EACCES)), 70),
        (OSError(errno.ENOENT, os.strerror(errno.ENOENT), "birds"), 70),
        (RuntimeError("shapes differ"), 70),
        (KeyError("x"), 70),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_failure_has_its_exit_code(error: BaseException, code: int) -> None:
    assert explain(error)[0] == code


def test_every_kind_of_error_has_a_code_of_its_own() -> None:
    kinds = SanderlingError.__subclasses__()
    assert sorted(kind.exit_code for kind in kinds) == [2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(("package", "extra"), [("safetensors.torch", "train"), ("av", "video")])
def test_a_package_that_is_not_there_comes_with_the_line_that_installs_it(package: str, extra: str) -> None:
    said = explain(ModuleNotFoundError("x", name=package))[1]
    assert repr(package.partition(".")[0]) in said
    assert f"pip install 'sanderling[{extra}]'" in said


def test_a_users_error_is_one_line_without_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(DataError("birds/: no data set here")) == 3
    assert capsys.readouterr() == ("", "error: birds/: no data set here\n")


def test_an_internal_error_is_short_and_says_how_to_get_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(ValueError("first line\nsecond line")) == 70
    said = capsys.readouterr().err
    assert "internal error: ValueError: first line" in said
    assert "second line" not in said
    assert "SANDERLING_DEBUG=1" in said


def test_the_traceback_is_shown_on_request(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDERLING_DEBUG", "1")
    try:
        raise DataError("x")
    except DataError as error:
        report(error)
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_the_environment_is_left_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("SANDERLING_DEBUG", raising=False)
    report(DataError("x"), debug=True)
    assert "DataError: x" in capsys.readouterr().err
    report(DataError("x"))
    assert capsys.readouterr().err == "error: x\n"
