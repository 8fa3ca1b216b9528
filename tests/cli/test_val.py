from __future__ import annotations

import json
from pathlib import Path

from tests.support.command_line import CommandLine
from tests.support.results import REPORT


def test_everything_that_is_named_reaches_the_command(command_line: CommandLine) -> None:
    val = command_line.stand_in("val", "val", REPORT)
    words = (
        "m.onnx --data birds --split test --data-format coco --imgsz 320 --resize stretch --conf 0.1 --iou 0.5 "
        "--max-det 50 --threshold 0.3 --false-alarm-rate 0.2 --device cpu --threads 2 --fast-decode "
        "--predictions p.json --set postprocess.suppression.kind=soft --set picture.pad_value=9"
    )
    assert command_line("val", *words.split()).code == 0
    assert val.called_with == {
        "model": "m.onnx",
        "data": Path("birds"),
        "split": "test",
        "data_format": "coco",
        "imgsz": (320,),
        "resize": "stretch",
        "conf": 0.1,
        "iou": 0.5,
        "max_det": 50,
        "threshold": 0.3,
        "false_alarm_rate": 0.2,
        "device": "cpu",
        "threads": 2,
        "fast_decode": True,
        "assignments": ["postprocess.suppression.kind=soft", "picture.pad_value=9"],
        "predictions": Path("p.json"),
    }


def test_people_read_percent_and_programs_fractions(command_line: CommandLine) -> None:
    command_line.stand_in("val", "val", REPORT)
    shown = command_line("val", "m", "--data", "d").out
    assert "23.1" in shown
    assert "tern" in shown
    assert "COCO, made up" in shown
    read = json.loads(command_line("val", "m", "--data", "d", "--json", "-").out)
    assert (read["AP"], read["AP_large"], read["per_class"][0]["name"]) == (0.2314, None, "tern")


def test_a_data_set_must_be_named(command_line: CommandLine) -> None:
    ran = command_line("val", "m")
    assert ran.code == 2
    assert "--data" in ran.err
