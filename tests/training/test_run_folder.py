from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from sanderling.training.run_folder import RunFolder, write_text


def _record(epoch: int, *, metrics: dict[str, float | None] | None) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "time_s": 1.5,
        "lr": 0.01,
        "losses": {"class": 0.1, "box": 0.2, "distribution": 0.3, "total": 0.6},
        "pictures_per_s": 12.0,
        "skipped_steps": 0,
        "metrics": metrics,
    }


_HISTORY = [_record(1, metrics=None), _record(2, metrics={"AP": 0.25, "AP50": 0.5, "AP_large": None})]


def test_results_have_the_columns_that_scripts_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_history(_HISTORY)
    with folder.results.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "epoch",
        "time",
        "train/box_loss",
        "train/cls_loss",
        "train/dfl_loss",
        "metrics/mAP50(B)",
        "metrics/mAP50-95(B)",
        "lr/pg0",
    ]
    assert list(rows[1].values()) == ["2", "3.0", "0.2", "0.1", "0.3", "0.5", "0.25", "0.01"]
    # What was not measured is empty.
    assert rows[0]["metrics/mAP50(B)"] == ""


def test_metrics_are_one_object_a_line(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_history(_HISTORY)
    lines = folder.metrics.read_text().splitlines()
    assert [json.loads(line) for line in lines] == _HISTORY
    folder.write_history(_HISTORY[:1])
    assert len(folder.metrics.read_text().splitlines()) == 1


def test_a_task_without_these_losses_has_empty_cells(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_history([{**_HISTORY[0], "losses": {"total": 1.0}}])
    assert folder.results.read_text().splitlines()[1] == "1,1.5,,,,,,0.01"


def test_clear_removes_results_and_nothing_of_the_users(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    ours = [
        *(folder.best, folder.checkpoint, folder.metrics, folder.results, folder.report, folder.page),
        *(tmp_path / "events.out.tfevents.1", tmp_path / "plots" / "losses.png"),
    ]
    theirs = [tmp_path / "notes.txt", tmp_path / "weights" / "mine.onnx", tmp_path / "plots" / "mine.svg"]
    for file in (*ours, *theirs):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    folder.clear()
    assert [file for file in ours if file.exists()] == []
    assert all(file.exists() for file in theirs)
    folder.clear()


def test_text_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.yaml"
    write_text(path, "before")

    def fail(self: Path, target: Path) -> Path:
        raise OSError("killed here")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="killed here"):
        write_text(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
