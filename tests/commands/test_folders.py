"""Where a verb puts its results."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sanderling.commands.folders import output_folder
from sanderling.errors import UsageError


def test_runs_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = [output_folder("train", "nanodet-m", None, False) for _ in range(3)]
    assert [str(folder) for folder in made] == [
        "runs/train/nanodet-m",
        "runs/train/nanodet-m2",
        "runs/train/nanodet-m3",
    ]
    assert all(folder.is_dir() for folder in made)
    assert str(output_folder("val", "nanodet-m", None, True)) == "runs/val/nanodet-m"


def test_runs_that_start_together_get_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: output_folder("train", "m", None, False), range(16)))
    assert len(set(made)) == 16


def test_a_named_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    named = tmp_path / "a" / "b"
    assert output_folder("train", "m", named, False) == named
    assert named.is_dir()
    # Still empty: nothing of anybody's is in danger.
    assert output_folder("train", "m", named, False) == named


def test_a_folder_that_holds_something_is_only_taken_when_that_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=f"output {tmp_path}: holds files already; name a new folder"):
        output_folder("train", "m", tmp_path, False)
    assert output_folder("predict", "m", tmp_path, True) == tmp_path


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for named in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(UsageError, match="is a file or inside one"):
            output_folder("train", "m", named, True)
