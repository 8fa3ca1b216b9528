from __future__ import annotations

import json
from pathlib import Path

from sanderling.errors import ExportError
from tests.support.command_line import CommandLine
from tests.support.results import EXPORTED


def test_everything_that_is_named_reaches_the_command(command_line: CommandLine) -> None:
    export = command_line.stand_in("export", "export", EXPORTED)
    words = (
        "m --target onnx -o out --imgsz 320 416 --layout yolo --resize stretch --dynamic --input-dtype uint8 "
        "--pictures birds --threads 1"
    )
    ran = command_line("export", *words.split())
    assert export.called_with == {
        "model": "m",
        "target": "onnx",
        "output": Path("out"),
        "imgsz": (320, 416),
        "layout": "yolo",
        "resize": "stretch",
        "dynamic": True,
        "input_dtype": "uint8",
        "pictures": "birds",
        "threads": 1,
    }
    assert ran.code == 0
    assert "birds.onnx" in ran.out
    assert "0.012 px" in ran.out


def test_json_names_the_file_and_its_parity(command_line: CommandLine) -> None:
    command_line.stand_in("export", "export", EXPORTED)
    read = json.loads(command_line("export", "m", "--json", "-").out)
    assert (read["path"], read["sidecar"]) == ("birds.onnx", "birds.onnx.json")
    assert read["parity"]["detections_equal"] is True


def test_an_artefact_that_disagrees_has_its_exit_code(command_line: CommandLine) -> None:
    command_line.stand_in("export", "export", ExportError("does not agree"))
    assert command_line("export", "m").code == 5
