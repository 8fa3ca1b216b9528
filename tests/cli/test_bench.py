from __future__ import annotations

import json

from tests.support.command_line import CommandLine
from tests.support.results import BENCHED


def test_everything_that_is_named_reaches_the_command(command_line: CommandLine) -> None:
    bench = command_line.stand_in("bench", "bench", [BENCHED])
    words = "a.onnx b.onnx --pictures p --data d --split val --threads 2 --rounds 7 --conf 0.3 --no-memory"
    ran = command_line("bench", *words.split())
    assert bench.called_with.pop("progress") is None
    assert bench.called_with == {
        "artefacts": ["a.onnx", "b.onnx"],
        "pictures": "p",
        "data": "d",
        "split": "val",
        "threads": 2,
        "rounds": 7,
        "conf": 0.3,
        "memory": False,
    }
    assert ran.code == 0
    for word in ("a processor", "320 x 416", "end to end", "11.00", "80.0", "23.1"):
        assert word in ran.out


def test_json_is_one_entry_per_artefact(command_line: CommandLine) -> None:
    command_line.stand_in("bench", "bench", [BENCHED, BENCHED])
    assert json.loads(command_line("bench", "a.onnx", "--json", "-").out) == [BENCHED.to_plain()] * 2


def test_an_artefact_must_be_named(command_line: CommandLine) -> None:
    assert command_line("bench").code == 2
