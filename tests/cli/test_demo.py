from __future__ import annotations

import json
from pathlib import Path

from tests.support.command_line import CommandLine
from tests.support.results import DEMONSTRATED


def test_it_runs_with_what_was_given_and_ends_with_the_report(command_line: CommandLine) -> None:
    demo = command_line.stand_in("demo", "demo", DEMONSTRATED)
    ran = command_line("demo", "-o", "out", "--overwrite", "--seed", 3)
    assert ran.code == 0
    assert demo.called_with == {"output": Path("out"), "overwrite": True, "seed": 3}
    assert "50.0" in ran.out
    assert ran.out.splitlines()[-1] == "report: runs/demo/demo/report.html"


def test_json_stands_alone(command_line: CommandLine) -> None:
    command_line.stand_in("demo", "demo", DEMONSTRATED)
    assert json.loads(command_line("demo", "--json", "-").out) == DEMONSTRATED.to_plain()
