"""Written results: complete, valid, and with names that do not collide."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.errors import DataError
from sanderling.pictures import decode
from sanderling.streams.recorder import Recorder
from sanderling.streams.sources import Frame, Unreadable
from sanderling.streams.video import read_video
from sanderling.structures.detections import Detections
from tests.support.artefacts import pictures


def _frame(source: str, *, number: int | None = None, size_hw: tuple[int, int] = (48, 64)) -> Frame:
    image = pictures(1, size_hw=size_hw)[0]
    return Frame(image=image, source=source, number=number, original_hw=size_hw, frames_per_second=12)


def _found(frame: Frame, count: int = 1) -> Detections:
    return Detections(
        boxes_xyxy=np.tile(np.array([1, 2, 30.123456, 40], np.float32), (count, 1)),
        scores=np.full(count, 0.5, np.float32),
        labels=np.ones(count, np.int64),
        class_names=("a", "b, or c"),
        source=frame.source,
        frame=frame.number,
        size_hw=frame.original_hw,
    )


def _add(recorder: Recorder, frame: Frame, count: int = 1) -> None:
    recorder.add(frame, _found(frame, count), frame.image)


def _json(folder: Path) -> Any:
    return json.loads((folder / "predictions.json").read_text())


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_pictures_json_and_csv_say_the_same(tmp_path: Path) -> None:
    with Recorder(tmp_path / "out", model="m.onnx") as recorder:
        _add(recorder, _frame("there/one.png"), 2)
        _add(recorder, _frame("there/two.jpg"), 0)
        recorder.add_unreadable(Unreadable(source="bad.jpg", error=DataError("bad.jpg: has zero bytes")))
    written = _json(tmp_path / "out")
    assert written["model"] == "m.onnx"
    assert [(item["source"], len(item["detections"])) for item in written["pictures"]] == [
        ("there/one.png", 2),
        ("there/two.jpg", 0),
    ]
    assert written["unreadable"] == [{"source": "bad.jpg", "reason": "bad.jpg: has zero bytes"}]
    rows = _rows(tmp_path / "out")
    assert [(row["source"], row["class_name"], row["frame"], row["x2"]) for row in rows] == [
        ("there/one.png", "b, or c", "", "30.12")
    ] * 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "one.jpg",
        "predictions.csv",
        "predictions.json",
        "two.jpg",
    ]
    assert decode(tmp_path / "out" / "one.jpg").shape == (48, 64, 3)


def test_drawn_pictures_keep_their_colours(tmp_path: Path) -> None:
    frame = _frame("red.png")
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 200
    with Recorder(tmp_path, model="m") as recorder:
        recorder.add(frame, _found(frame), red)
    red_back, green, blue = decode(tmp_path / "red.jpg")[24, 32]
    assert red_back > 190
    assert max(green, blue) < 10


def test_equal_names_get_numbers(tmp_path: Path) -> None:
    with Recorder(tmp_path, model="m") as recorder:
        for folder in "abc":
            _add(recorder, _frame(f"{folder}/same name.jpg"))
    assert sorted(path.name for path in tmp_path.glob("*.jpg")) == [
        "same_name-2.jpg",
        "same_name-3.jpg",
        "same_name.jpg",
    ]


def test_a_name_that_is_no_text_is_written_with_escapes(tmp_path: Path) -> None:
    with Recorder(tmp_path, model="m") as recorder:
        _add(recorder, _frame("there/\udcff.jpg"))
    assert _rows(tmp_path)[0]["source"] == "there/\\udcff.jpg"
    assert _json(tmp_path)["pictures"][0]["source"] == "there/\udcff.jpg"


def test_nothing_at_all_is_still_valid(tmp_path: Path) -> None:
    with Recorder(tmp_path, model="m"):
        pass
    assert _json(tmp_path) == {"model": "m", "pictures": [], "unreadable": []}
    assert _rows(tmp_path) == []


def test_an_interruption_leaves_valid_files(tmp_path: Path) -> None:
    def interrupted() -> None:
        with Recorder(tmp_path, model="m") as recorder:
            for number in range(3):
                _add(recorder, _frame("v.mp4", number=number))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [item["frame"] for item in _json(tmp_path)["pictures"]] == [0, 1, 2]
    assert len(_rows(tmp_path)) == 3
    assert len(list(read_video(str(tmp_path / "v.mp4")))) == 3
    assert not list(tmp_path.glob("*.partial"))


def test_every_video_and_every_size_gets_its_own_file(tmp_path: Path) -> None:
    with Recorder(tmp_path, model="m") as recorder:
        for source in ("a/v.mp4", "b/v.mp4"):
            for number in range(2):
                _add(recorder, _frame(source, number=number))
        _add(recorder, _frame("b/v.mp4", number=2, size_hw=(96, 64)))
        _add(recorder, _frame("still.jpg"))
    lengths = {path.name: len(list(read_video(str(path)))) for path in tmp_path.glob("*.mp4")}
    assert lengths == {"v.mp4": 2, "v-2.mp4": 2, "v-3.mp4": 1}
