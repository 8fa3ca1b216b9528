"""The surface that scripts of users depend on. A change here is a change for them: say so in CHANGELOG.md."""

from __future__ import annotations

from typing import Any

import pytest

from sanderling.cli.app import command
from tests.support.command_line import CommandLine

SURFACE = {
    "": "--version --quiet --debug",
    "demo": "--output -o --overwrite --seed --json",
    "data": "",
    "data check": "PATH --data-format --json",
    "data stats": "PATH --split --data-format --output -o --json",
    "data convert": "PATH --to --output -o --data-format --json",
    "data split": "PATH --output -o --fractions --group-by --seed --data-format --json",
    "data anchors": "PATH --imgsz --model --count --resize --split --seed --data-format --json",
    "data preview": (
        "RUN --data --data-format --split --epoch --batches --imgsz --seed --set --columns --output -o --overwrite "
        "--json"
    ),
    "models": "--recipes --json",
    "models show": "NAME --json",
    "weights": "",
    "weights import": "SOURCE --model --output -o --classes --json",
    "weights distill": (
        "MODEL --pictures --output -o --switch --teacher --epochs --minutes --imgsz --batch --seed --device --workers "
        "--threads --set --resume --overwrite --json"
    ),
    "train": (
        "RUN --data --data-format --weights --pretrained --epochs --batch --memory --imgsz --patience --freeze --seed "
        "--device --workers --threads --set --name --output -o --resume --overwrite --json"
    ),
    "val": (
        "MODEL --data --split --data-format --imgsz --resize --conf --iou --max-det --threshold --false-alarm-rate "
        "--device --threads --fast-decode --predictions --set --json"
    ),
    "predict": (
        "MODEL SOURCE --output -o --imgsz --resize --conf --iou --max-det --classes --device --threads --fast-decode "
        "--save --no-save --set --json"
    ),
    "export": (
        "MODEL --target --output -o --imgsz --layout --resize --dynamic --input-dtype --pictures --threads --json"
    ),
    "bench": "ARTEFACT --pictures --data --split --threads --rounds --conf --memory --no-memory --json",
    "ablate": (
        "RUN --data --data-format --switch --list-switches --ladder --rows --mode --seeds --epochs --minutes --batch "
        "--imgsz --set --device --workers --threads --ray --latency --no-latency --dry-run --output -o --overwrite "
        "--json"
    ),
}


def _found(verb: Any, name: str = "") -> dict[str, set[str]]:
    words = {word for parameter in verb.params for word in _words(parameter) if word not in ("-h", "--help")}
    found = {name: words}
    for inner_name, inner in getattr(verb, "commands", {}).items():
        found |= _found(inner, f"{name} {inner_name}".strip())
    return found


def _words(parameter: Any) -> list[str]:
    if parameter.param_type_name == "argument":
        return [parameter.metavar]
    return [*parameter.opts, *parameter.secondary_opts]


def test_verbs_and_options_are_these() -> None:
    assert _found(command()) == {verb: set(words.split()) for verb, words in SURFACE.items()}


@pytest.mark.parametrize("verb", [verb for verb in SURFACE if verb not in ("", "data", "weights")])
def test_every_verb_explains_itself(command_line: CommandLine, verb: str) -> None:
    ran = command_line(*verb.split(), "--help")
    assert ran.code == 0
    assert ran.err == ""
    assert "Exit codes: 0 " in ran.out
    assert f"sanderling {verb}" in ran.out.split("Examples:")[1]
    assert max(len(line) for line in ran.out.splitlines()) <= 80
    purpose = ran.out.splitlines()[2]
    assert purpose.endswith(".")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("trian", "Did you mean 'train'?"),
        ("train x --epoch 3", "--epochs"),
        ("data chek x", "Did you mean 'check'?"),
        ("val m --data d --imgsz big", "'big' is not a size; write 320, or height and width: 320 416"),
        ("val m --data d --threads two", "--threads"),
        ("bench", "ARTEFACT"),
    ],
)
def test_wrong_use_exits_with_2_and_a_hint(command_line: CommandLine, words: str, hint: str) -> None:
    ran = command_line(*words.split())
    assert ran.code == 2
    assert ran.out == ""
    assert hint in ran.err
