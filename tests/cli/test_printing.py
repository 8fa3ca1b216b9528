from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from sanderling.cli import printing
from sanderling.errors import UsageError
from sanderling.reporting.tables import Column, Table


def test_without_json_people_see_a_table() -> None:
    assert printing.for_people({"a": 1}, None)


def test_json_on_standard_output_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert not printing.for_people({"a": [1, None]}, "-")
    assert json.loads(capsys.readouterr().out) == {"a": [1, None]}


def test_json_in_a_file_leaves_the_table_and_nothing_half_written(tmp_path: Path) -> None:
    file = tmp_path / "new" / "result.json"
    assert printing.for_people({"a": 1}, str(file))
    assert json.loads(file.read_text()) == {"a": 1}
    assert list(file.parent.iterdir()) == [file]


def test_values_that_json_has_no_word_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        printing.for_people({"AP": float("nan")}, str(tmp_path / "result.json"))
    assert not list(tmp_path.iterdir())


def test_a_failed_stream_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text("old")
    with suppress(RuntimeError), printing.opened(str(file)) as stream:
        stream.write("half")
        raise RuntimeError
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_place_that_cannot_be_written_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="name another file"):
        printing.for_people({}, str(tmp_path / "file" / "result.json"))


def test_empty_tables_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    columns = (Column(name="what"), Column(name="AP", kind="percent"))
    printing.show(
        Table(title="full", columns=columns, rows=(("a [b] c", 0.25),)), Table(title="empty", columns=columns, rows=())
    )
    shown = capsys.readouterr().out
    assert "full" in shown
    assert "a [b] c" in shown
    assert "25.0" in shown
    assert "empty" not in shown


def test_a_reader_who_leaves_does_not_stop_the_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        assert not printing.for_people({"a": 1}, "-")
        printing.say("and on")
