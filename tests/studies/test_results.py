from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from sanderling.errors import UsageError
from sanderling.studies.results import Result, digest_of, read_result, write_json, write_result

FILES = {"train": "ab12", "val": "cd34"}
RUN = {"batch": 8, "model": {"name": "m", "size": [64, 96]}, "ema": None}
DONE = Result(run=RUN, inputs=FILES, metrics={"AP": 0.25, "AP_large": None}, seconds=3.5, epoch_s=(1.0, 0.5))


def test_what_was_written_is_read_back_for_an_equal_run(tmp_path: Path) -> None:
    write_result(tmp_path / "deep" / "a.json", DONE)
    assert read_result(tmp_path / "deep" / "a.json", json.loads(json.dumps(RUN)), FILES, overwrite=False) == DONE
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["a.json"]


def test_what_is_missing_or_failed_has_to_be_done(tmp_path: Path) -> None:
    assert read_result(tmp_path / "a.json", RUN, {}, overwrite=False) is None
    write_result(tmp_path / "a.json", Result(run=RUN, error="out of memory"))
    assert read_result(tmp_path / "a.json", RUN, {}, overwrite=False) is None


def test_another_run_is_refused_and_the_difference_is_named(tmp_path: Path) -> None:
    write_result(tmp_path / "a.json", DONE)
    other = {**RUN, "model": {"name": "m", "size": [64, 64]}}
    with pytest.raises(UsageError, match=r"a.json: is of another run: model.size is \[64, 96\] there and \[64, 64\]"):
        read_result(tmp_path / "a.json", other, FILES, overwrite=False)
    assert read_result(tmp_path / "a.json", other, FILES, overwrite=True) is None


@pytest.mark.parametrize(
    ("files", "name"),
    [({**FILES, "val": "cd35"}, "val"), ({"val": "cd34"}, "train"), ({**FILES, "weights": "ef56"}, "weights")],
)
def test_an_equal_run_of_other_files_is_another_run(tmp_path: Path, files: dict[str, str], name: str) -> None:
    write_result(tmp_path / "a.json", DONE)
    with pytest.raises(UsageError, match=rf"a.json: is of another run: the files of its {name} are others by now"):
        read_result(tmp_path / "a.json", RUN, files, overwrite=False)
    assert read_result(tmp_path / "a.json", RUN, files, overwrite=True) is None


def test_a_digest_tells_one_training_from_the_next(tmp_path: Path) -> None:
    write_result(tmp_path / "a.json", DONE)
    before = digest_of(tmp_path / "a.json")
    write_result(tmp_path / "a.json", DONE)
    assert digest_of(tmp_path / "a.json") == before
    write_result(tmp_path / "a.json", dataclasses.replace(DONE, seconds=3.501))
    assert digest_of(tmp_path / "a.json") != before


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"run": {}, "epoch_s": [], "surprise": 1}', '{"run": {}, "epoch_s": 3}']
)
def test_a_file_of_another_kind_is_told_from_a_result(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UsageError, match="holds no result of a study"):
        read_result(tmp_path / "a.json", RUN, {}, overwrite=False)
    assert read_result(tmp_path / "a.json", RUN, {}, overwrite=True) is None


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    assert len(list(tmp_path.iterdir())) == 1
