from __future__ import annotations

import json

from tests.support.command_line import CommandLine

ENTRY = {
    "name": "nanodet-m",
    "family": "nanodet",
    "input": [320, 416],
    "parameters": 959_348,
    "macs": 342_200_000,
    "classes": 80,
    "published": None,
    "published_source": None,
    "note": "",
    "pretrained": ["imagenet"],
}
PARTS = {"backbone": {"kind": "shufflenet_v2", "source": "ShuffleNetV2, a paper"}}
STAGE = {"name": "backbone.conv1", "parameters": 696, "macs": 16_600_000, "outputs": ["24x160x160"]}


def test_the_zoo_is_listed_when_no_verb_is_named(command_line: CommandLine) -> None:
    command_line.stand_in("models", "list_models", [ENTRY])
    shown = command_line("models")
    assert shown.code == 0
    for word in ("nanodet-m", "320 x 416", "0.959", "342.2"):
        assert word in shown.out
    assert json.loads(command_line("models", "--json", "-").out) == [ENTRY]


def test_recipes_are_listed_on_request_and_the_zoo_says_how(command_line: CommandLine) -> None:
    command_line.stand_in("models", "list_models", [ENTRY])
    assert "sanderling models --recipes" in command_line("models").out
    recipe = {"name": "x-published", "model": "x", "input": [320, 416], "epochs": 1735, "batch": 512, "about": "SGD."}
    command_line.stand_in("models", "list_recipes", [recipe])
    shown = command_line("models", "--recipes")
    for word in ("x-published", "320 x 416", "1,735", "512", "SGD."):
        assert word in shown.out
    assert json.loads(command_line("models", "--recipes", "--json", "-").out) == [recipe]


def test_one_model_is_shown_by_stage_and_the_zoo_is_not(command_line: CommandLine) -> None:
    zoo = command_line.stand_in("models", "list_models", [])
    show = command_line.stand_in("models", "show_model", {**ENTRY, "parts": PARTS, "stages": [STAGE]})
    shown = command_line("models", "show", "nanodet-m")
    assert show.called_with == {"model": "nanodet-m"}
    assert not zoo.called_with
    for word in ("backbone.conv1", "16.6", "24x160x160", "total", "959,348", "ShuffleNetV2, a paper", "imagenet"):
        assert word in shown.out
    assert json.loads(command_line("models", "show", "nanodet-m", "--json", "-").out)["stages"] == [STAGE]


def test_what_was_published_is_shown_as_people_read_it(command_line: CommandLine) -> None:
    published = {"parameters": 959_348, "macs": 342_200_000.0, "ap": 0.206, "ap50": None}
    model = {**ENTRY, "parts": PARTS, "stages": [STAGE], "published": published, "published_source": "a README"}
    command_line.stand_in("models", "show_model", model)
    shown = command_line("models", "show", "nanodet-m")
    for words in ("959,348", "342.2 M", "20.6 %", "a README"):
        assert words in shown.out
    assert "AP50" not in shown.out


def test_an_unknown_name_suggests_the_nearest(command_line: CommandLine) -> None:
    ran = command_line("models", "show", "nanodet-mm")
    assert ran.code == 2
    assert "did you mean 'nanodet-m'?" in ran.err
