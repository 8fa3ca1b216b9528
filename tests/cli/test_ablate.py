from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sanderling.commands.ablate import AblationOutcome
from sanderling.errors import UsageError
from sanderling.recipes.named import named
from sanderling.reporting.tables import Column, Table
from sanderling.studies.ablation import plan_ablation
from tests.support.command_line import CommandLine

TABLE = Table(
    title="Ablation", columns=(Column(name="switches"), Column(name="AP, %", kind="percent")), rows=(("ema", 0.25),)
)


def _outcome(**changes: Any) -> AblationOutcome:
    values: dict[str, Any] = {"folder": Path("out/study"), "table": TABLE, "plain": {"rows": [1]}, "failed": ()}
    return AblationOutcome(**{**values, **changes})


def test_everything_that_is_named_reaches_the_command(command_line: CommandLine) -> None:
    ablate = command_line.stand_in("ablate", "ablate", _outcome())
    words = (
        "ablate nanodet-m --data d --data-format coco --switch ema --switch mosaic,hue --ladder ppyolo --rows A,I "
        "--mode single --seeds 2 --minutes 2.5 --epochs 9 --batch 4 --imgsz 64 96 --set batch=3 --device cpu "
        "--workers 1 --threads 2 --ray --no-latency --dry-run -o out/study --overwrite"
    )
    ran = command_line(*words.split())
    assert ran.code == 0, ran.err
    assert ablate.called_with == {
        "run": "nanodet-m",
        "data": Path("d"),
        "data_format": "coco",
        "switches": ["ema", "mosaic,hue"],
        "ladder": "ppyolo",
        "rows": ["A", "I"],
        "mode": "single",
        "seeds": 2,
        "epochs": 9,
        "minutes": 2.5,
        "batch": 4,
        "imgsz": (64, 96),
        "device": "cpu",
        "workers": 1,
        "threads": 2,
        "assignments": ["batch=3"],
        "ray": True,
        "latency": False,
        "dry_run": True,
        "output": Path("out/study"),
        "overwrite": True,
    }
    assert "25.0" in ran.out
    assert "study: out/study" in ran.out


def test_what_is_not_named_is_left_to_the_command(command_line: CommandLine) -> None:
    ablate = command_line.stand_in("ablate", "ablate", _outcome())
    assert command_line("ablate", "--ladder", "ppyolo", "--data", "d").code == 0
    called = ablate.called_with
    assert (called["run"], called["mode"], called["seeds"], called["latency"]) == (None, "ladder", 3, True)
    assert (called["switches"], called["assignments"], called["ray"]) == ((), (), False)
    assert (called["rows"], called["dry_run"]) == ((), False)


def test_a_dry_run_has_no_folder(command_line: CommandLine) -> None:
    command_line.stand_in("ablate", "ablate", _outcome(folder=None, plain={"trainings": 6}))
    words = ("ablate", "m", "--data", "d", "--switch", "ema", "--dry-run")
    ran = command_line(*words)
    assert (ran.code, "ema" in ran.out, "study:" in ran.out) == (0, True, False)
    assert json.loads(command_line(*words, "--json", "-").out) == {"folder": None, "trainings": 6}


def test_failed_runs_are_exit_code_1_and_the_json_is_whole(command_line: CommandLine) -> None:
    command_line.stand_in("ablate", "ablate", _outcome(failed=("ema: the run diverged",)))
    ran = command_line("ablate", "m", "--data", "d", "--switch", "ema", "--json", "-")
    assert ran.code == 1
    assert json.loads(ran.out) == {"folder": "out/study", "rows": [1]}


def test_switches_are_listed(command_line: CommandLine) -> None:
    command_line.stand_in(
        "ablate", "list_switches", [{"name": "ema", "help": "an average"}, {"name": "spp", "help": "p"}]
    )
    assert command_line("ablate", "--list-switches").out.splitlines() == ["ema  an average", "spp  p"]
    assert json.loads(command_line("ablate", "--list-switches", "--json", "-").out)[1]["name"] == "spp"


@pytest.mark.parametrize(
    ("words", "complaint"), [("m --switch ema", "--data PATH"), ("m --seeds many --data d", "--seeds")]
)
def test_wrong_use(command_line: CommandLine, words: str, complaint: str) -> None:
    command_line.stand_in("ablate", "ablate", UsageError("never reached"))
    ran = command_line("ablate", *words.split())
    assert ran.code == 2
    assert complaint in ran.err


def test_the_examples_of_the_help_can_be_planned(command_line: CommandLine) -> None:
    text = " ".join(command_line("ablate", "--help").out.split("Examples:")[1].split("The last one")[0].split())
    steps = {words.split()[0]: re.findall(r"--switch (\S+)", words) for words in text.split("sanderling ablate ")[1:]}
    assert steps["nanodet-m"] == ["grid-mask", "optimizer.lr=0.001,warmup.steps=50"]
    assert len(plan_ablation(named("nanodet-m"), steps["nanodet-m"], mode="single", seeds=1).steps) == 3
    assert len(plan_ablation(named("ppyolo-small"), steps["ppyolo-small"], mode="ladder", seeds=1).steps) == 3
