from __future__ import annotations

import inspect

import pytest

from sanderling.cli import data, demo, export, models, predict, train, val
from tests.support.command_line import CommandLine


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        ("demo", demo.demo),
        ("train", train.train),
        ("val", val.val),
        ("export", export.export),
        ("predict", predict.predict),
        ("data check", data.check),
        ("models", models.models),
    ],
)
def test_the_docstring_is_the_help_as_it_is_written(command_line: CommandLine, words: str, verb: object) -> None:
    shown = command_line(*words.split(), "--help").out
    for line in inspect.cleandoc(inspect.getdoc(verb) or "no docstring").splitlines():
        assert f"{line}".rstrip() in shown


def test_two_sides_of_a_size_and_assignments_reach_the_verb(command_line: CommandLine) -> None:
    detect = command_line.stand_in("predict", "predict", [])
    ran = command_line("predict", "m.onnx", "--imgsz", "320", "416", "a.jpg", "conf=0.5", "max_det=7")
    assert ran.code == 0
    assert detect.called_with["sources"] == ["a.jpg"]
    assert detect.called_with["imgsz"] == (320, 416)
    assert (detect.called_with["conf"], detect.called_with["max_det"]) == (0.5, 7)
