from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from sanderling.errors import RunError
from tests.support.command_line import CommandLine
from tests.support.results import TRAINED


def test_everything_that_is_named_reaches_the_command(command_line: CommandLine) -> None:
    train = command_line.stand_in("train", "train", TRAINED)
    words = (
        "nanodet-m --data birds --data-format voc --weights w.safetensors --pretrained imagenet --epochs 3 --batch 4 "
        "--imgsz 320 416 --patience 2 --freeze backbone --seed 7 --device cpu --workers 0 --threads 1 --set ema=null "
        "--set a.b=1 --name n -o out --overwrite"
    )
    ran = command_line("train", *words.split())
    assert ran.code == 0
    assert train.called_with == {
        "run": "nanodet-m",
        "data": Path("birds"),
        "data_format": "voc",
        "weights": "w.safetensors",
        "pretrained": "imagenet",
        "epochs": 3,
        "batch": 4,
        "memory": None,
        "imgsz": (320, 416),
        "patience": 2,
        "freeze": "backbone",
        "seed": 7,
        "device": "cpu",
        "workers": 0,
        "threads": 1,
        "assignments": ["ema=null", "a.b=1"],
        "name": "n",
        "output": Path("out"),
        "resume": False,
        "overwrite": True,
    }
    assert "23.1" in ran.out
    assert ran.out.splitlines()[-1] == "run folder: runs/train/birds"


def test_what_is_not_named_is_left_to_the_recipe(command_line: CommandLine) -> None:
    train = command_line.stand_in("train", "train", TRAINED)
    command_line("train", "runs/x", "--resume")
    assert train.called_with.pop("resume") is True
    assert train.called_with.pop("run") == "runs/x"
    assert not any(train.called_with.values())


def test_an_automatic_batch_and_its_budget(command_line: CommandLine) -> None:
    train = command_line.stand_in("train", "train", TRAINED)
    assert command_line("train", "nanodet-m", "--batch", "auto", "--memory", "4GB").code == 0
    assert (train.called_with["batch"], train.called_with["memory"]) == ("auto", "4GB")
    ran = command_line("train", "nanodet-m", "--batch", "many")
    assert ran.code == 2
    assert "'many' is neither a number nor auto" in ran.err


def test_json_stands_alone(command_line: CommandLine) -> None:
    command_line.stand_in("train", "train", TRAINED)
    assert json.loads(command_line("train", "x", "--json", "-").out) == TRAINED.to_plain()


def test_a_run_without_validation_has_no_metrics_to_show(command_line: CommandLine) -> None:
    command_line.stand_in("train", "train", dataclasses.replace(TRAINED, report=None))
    assert command_line("train", "x").out == "run folder: runs/train/birds\n"


def test_a_failed_run_has_its_exit_code(command_line: CommandLine) -> None:
    command_line.stand_in("train", "train", RunError("the loss is not finite"))
    ran = command_line("train", "x", "--json", "-")
    assert (ran.code, ran.out, ran.err) == (6, "", "error: the loss is not finite\n")


def test_of_many_processes_one_speaks(command_line: CommandLine) -> None:
    command_line.stand_in("train", "train", TRAINED)
    command_line.monkeypatch.setenv("RANK", "1")
    assert command_line("train", "x", "--json", "-").out == ""
    command_line.monkeypatch.setenv("RANK", "0")
    assert json.loads(command_line("train", "x", "--json", "-").out)
