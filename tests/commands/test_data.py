from __future__ import annotations

import json
from pathlib import Path

import pytest

from sanderling.commands.data import check, convert, split, stats
from sanderling.errors import UsageError
from tests.support.small_sets import clean_set


def test_check_takes_text_and_names_the_format(tmp_path: Path) -> None:
    clean_set(tmp_path, "coco")
    clean_set(tmp_path, "voc")
    assert check(str(tmp_path)).data_format == "coco"
    assert check(tmp_path, data_format="voc").data_format == "voc"


def test_unknown_format_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'yolo'"):
        check(tmp_path, data_format="yolov8")


def test_stats_of_every_split_or_of_one(tmp_path: Path) -> None:
    clean_set(tmp_path, "yolo")
    assert [entry.split for entry in stats(tmp_path).splits] == ["train", "val"]
    result = stats(tmp_path, split="train")
    assert (len(result.splits), result.plots) == (1, ())
    assert json.loads(json.dumps(result.to_plain(), allow_nan=False))["splits"][0]["objects"] == 4


def test_stats_draws_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result = stats(clean_set(tmp_path / "a", "coco"), split="val", output=tmp_path / "plots")
    assert len(result.plots) == 5
    assert all(Path(plot).read_bytes().startswith(b"\x89PNG") for plot in result.plots)


def test_convert_and_split_write_new_folders(tmp_path: Path) -> None:
    source = clean_set(tmp_path / "a", "coco")
    assert convert(source, to="voc", output=tmp_path / "voc").boxes == {"train": 4, "val": 2}
    outcome = split(source, output=tmp_path / "new", fractions="train=0.6,val=0.4", seed=1)
    assert outcome.written.pictures == {"train": 3, "val": 2}
    plain = json.loads(json.dumps(outcome.to_plain()))
    assert set(plain) >= {"output", "pictures", "boxes", "groups", "objects", "skipped"}


@pytest.mark.parametrize("fractions", ["train", "train=0.5,val", "=1", "train=half", "train=0.5,train=0.5"])
def test_fractions_that_cannot_be_read(tmp_path: Path, fractions: str) -> None:
    with pytest.raises(UsageError, match="fractions"):
        split(clean_set(tmp_path / "a", "coco"), output=tmp_path / "b", fractions=fractions)


def test_converting_to_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="data format 'pascal' is not known"):
        convert(clean_set(tmp_path / "a", "coco"), to="pascal", output=tmp_path / "b")
