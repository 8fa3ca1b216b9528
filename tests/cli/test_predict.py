from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sanderling.errors import DataError
from sanderling.streams.sources import Unreadable
from sanderling.structures.detections import Detections
from tests.support.command_line import CommandLine

FOUND = Detections(
    boxes_xyxy=np.array([[1, 2, 3, 4]], np.float32),
    scores=np.array([0.5], np.float32),
    labels=np.array([0], np.int64),
    class_names=("tern",),
    source="a.jpg",
)
NOTHING = Detections.empty(("tern",), source="b.jpg")


def test_everything_that_is_named_reaches_the_command(command_line: CommandLine) -> None:
    predict = command_line.stand_in("predict", "predict", iter([FOUND]))
    words = (
        "m.onnx a.jpg 0 -o out --imgsz 320 --resize letterbox --conf 0.4 --iou 0.5 --max-det 9 --classes tern,3 "
        "--classes gull --device cpu --threads 1 --fast-decode --no-save --set postprocess.score=0.1"
    )
    ran = command_line("predict", *words.split())
    assert (ran.code, ran.out) == (0, "")
    assert callable(predict.called_with.pop("on_unreadable"))
    assert predict.called_with == {
        "model": "m.onnx",
        "sources": ["a.jpg", "0"],
        "output": Path("out"),
        "save": False,
        "imgsz": (320,),
        "resize": "letterbox",
        "conf": 0.4,
        "iou": 0.5,
        "max_det": 9,
        "classes": ["tern", "3", "gull"],
        "device": "cpu",
        "threads": 1,
        "fast_decode": True,
        "assignments": ["postprocess.score=0.1"],
    }


def test_json_has_an_entry_for_every_picture(command_line: CommandLine) -> None:
    command_line.stand_in("predict", "predict", iter([FOUND, NOTHING]))
    read = json.loads(command_line("predict", "m.onnx", "a.jpg", "b.jpg", "--json", "-").out)
    assert read == {"model": "m.onnx", "pictures": [FOUND.to_plain(), NOTHING.to_plain()], "unreadable": []}


def test_json_tells_what_could_not_be_read(command_line: CommandLine) -> None:
    def reads() -> Iterator[Detections]:
        predict.called_with["on_unreadable"](Unreadable(source="c.jpg", error=DataError("c.jpg: has zero bytes")))
        yield FOUND

    predict = command_line.stand_in("predict", "predict", reads())
    read = json.loads(command_line("predict", "m.onnx", "c.jpg", "a.jpg", "--json", "-").out)
    assert read["unreadable"] == [{"source": "c.jpg", "reason": "c.jpg: has zero bytes"}]
    assert len(read["pictures"]) == 1


def test_json_of_no_picture_is_json(command_line: CommandLine, tmp_path: Path) -> None:
    command_line.stand_in("predict", "predict", iter(()))
    file = tmp_path / "found.json"
    assert command_line("predict", "m.onnx", "a.jpg", "--json", file).code == 0
    assert json.loads(file.read_text()) == {"model": "m.onnx", "pictures": [], "unreadable": []}


def test_what_goes_wrong_midway_leaves_no_file(command_line: CommandLine, tmp_path: Path) -> None:
    def fails() -> Iterator[Detections]:
        yield FOUND
        raise DataError("not a single picture could be read")

    command_line.stand_in("predict", "predict", fails())
    assert command_line("predict", "m.onnx", "a.jpg", "--json", tmp_path / "found.json").code == 3
    assert not list(tmp_path.iterdir())


def test_where_nothing_could_be_read_standard_output_stays_empty(command_line: CommandLine) -> None:
    def fails() -> Iterator[Detections]:
        yield from ()
        raise DataError("not a single picture could be read")

    command_line.stand_in("predict", "predict", fails())
    ran = command_line("predict", "m.onnx", "a.jpg", "--json", "-")
    assert (ran.code, ran.out) == (3, "")


def test_leaving_a_camera_keeps_what_was_found(command_line: CommandLine, tmp_path: Path) -> None:
    def interrupted() -> Iterator[Detections]:
        yield FOUND
        raise KeyboardInterrupt

    command_line.stand_in("predict", "predict", interrupted())
    file = tmp_path / "found.json"
    assert command_line("predict", "m.onnx", "0", "--json", file).code == 130
    assert json.loads(file.read_text())["pictures"] == [FOUND.to_plain()]


def test_a_source_must_be_named(command_line: CommandLine) -> None:
    assert command_line("predict", "m.onnx").code == 2
