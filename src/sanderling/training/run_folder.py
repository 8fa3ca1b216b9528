"""The files of a run: where each stands, and how the history is written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from sanderling.training.progress import Record

# The columns that people's scripts read, and where the values stand in a record.
_COLUMNS = {
    "epoch": ("epoch",),
    "time": ("total_time_s",),
    "train/box_loss": ("losses", "box"),
    "train/cls_loss": ("losses", "class"),
    "train/dfl_loss": ("losses", "distribution"),
    "metrics/mAP50(B)": ("metrics", "AP50"),
    "metrics/mAP50-95(B)": ("metrics", "AP"),
    "lr/pg0": ("lr",),
}


class RunFolder:
    """A run's folder: `run.yaml`, `weights/`, `metrics.jsonl`, `results.csv`, `report.json`,
    `plots/`, `report.html`.

    Args:
        path: the folder; it exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_file = path / "run.yaml"
        self.best = path / "weights" / "best.safetensors"
        self.checkpoint = path / "weights" / "last.ckpt"
        self.metrics = path / "metrics.jsonl"
        self.results = path / "results.csv"
        self.report = path / "report.json"
        self.page = path / "report.html"

    def clear(self) -> None:
        """Remove the files of an earlier run that this one would otherwise be mistaken for."""
        named = (self.best, self.checkpoint, self.metrics, self.results, self.report, self.page)
        found = (file for pattern in ("events.*", "plots/*.png") for file in self.path.glob(pattern))
        for file in (*named, *found):
            file.unlink(missing_ok=True)

    def write_history(self, history: Sequence[Record]) -> None:
        """Write all epochs anew, as one JSON object a line and as a table."""
        write_text(self.metrics, "".join(json.dumps(record) + "\n" for record in history))
        table = io.StringIO()
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(_COLUMNS)
        seconds = 0.0
        for record in history:
            seconds += record["time_s"]
            rows.writerow([_value({**record, "total_time_s": round(seconds, 3)}, path) for path in _COLUMNS.values()])
        write_text(self.results, table.getvalue())


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _value(record: Record, path: tuple[str, ...]) -> str | int | float:
    value = record
    for key in path:
        value = (value or {}).get(key)  # type: ignore[assignment]
    return "" if value is None else value  # type: ignore[return-value]
