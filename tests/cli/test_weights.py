from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from sanderling.commands.weights import ImportOutcome
from tests.support.command_line import CommandLine

IMPORTED = ImportOutcome(
    source="n.ckpt",
    model="nanodet-m",
    output="n.safetensors",
    tensors=12,
    unexpected=("loss.weight",),
    folded_batchnorm=False,
    class_names=("tern", "gull"),
    weights_sha256="0" * 64,
)
WORDS = ("weights", "import", "n.ckpt", "--model", "nanodet-m", "-o", "n.safetensors")


def test_everything_that_is_named_reaches_the_command(command_line: CommandLine) -> None:
    importing = command_line.stand_in("weights", "import_weights", IMPORTED)
    ran = command_line(*WORDS, "--classes", "tern,gull")
    assert importing.called_with == {
        "source": Path("n.ckpt"),
        "model": "nanodet-m",
        "output": Path("n.safetensors"),
        "class_names": ["tern", "gull"],
    }
    assert (ran.code, ran.out) == (0, "12 tensors of n.ckpt are in n.safetensors\n")


def test_json_stands_alone(command_line: CommandLine) -> None:
    command_line.stand_in("weights", "import_weights", IMPORTED)
    assert json.loads(command_line(*WORDS, "--json", "-").out) == IMPORTED.to_plain()


def test_the_model_and_the_file_to_write_must_be_named(command_line: CommandLine) -> None:
    ran = command_line("weights", "import", "n.ckpt")
    assert ran.code == 2
    assert "--model" in ran.err


def test_folded_batchnorm_is_said(command_line: CommandLine) -> None:
    command_line.stand_in("weights", "import_weights", dataclasses.replace(IMPORTED, folded_batchnorm=True))
    ran = command_line(*WORDS)
    assert "BatchNorm is folded in" in ran.out
    assert "--set task.folded_batchnorm=recalibrate" in ran.out


def test_help_lists_every_format(command_line: CommandLine) -> None:
    text = command_line("weights", "import", "--help").out
    for suffix in (".pth", ".ckpt", ".param", ".bin", ".weights", ".pdparams", ".safetensors"):
        assert suffix in text
