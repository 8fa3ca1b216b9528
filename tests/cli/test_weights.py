from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from sanderling.commands.distill_backbone import DistillOutcome
from sanderling.commands.weights import ImportOutcome
from sanderling.compression.agreement import Agreement
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
DISTILLED = DistillOutcome(
    weights=Path("b.safetensors"),
    folder=Path("b"),
    pictures=90,
    epochs=12,
    agreement=Agreement(pictures=10, divergence=0.25, top1=0.4, commonest=0.2),
    seconds=61.5,
    unreadable={},
)
DISTILLING = ("weights", "distill", "nanodet-m", "--pictures", "sky", "-o", "b.safetensors")


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


def test_everything_that_is_named_reaches_the_distillation(command_line: CommandLine) -> None:
    distilling = command_line.stand_in("distill_backbone", "distill_backbone", DISTILLED)
    ran = command_line(
        *DISTILLING,
        *("--switch", "resnet-dcn", "--pictures", "birds", "--teacher", "efficientnet-lite0"),
        *("--minutes", 2.5, "--imgsz", 192, 224),
        *("--batch", 16, "--seed", 3, "--device", "cpu", "--workers", 1, "--threads", 2, "--set", "held_back=0.1"),
        "--overwrite",
    )
    assert distilling.called_with == {
        "model": "nanodet-m",
        "pictures": [Path("sky"), Path("birds")],
        "output": Path("b.safetensors"),
        "switches": ["resnet-dcn"],
        "teacher": "efficientnet-lite0",
        "epochs": None,
        "minutes": 2.5,
        "imgsz": (192, 224),
        "batch": 16,
        "seed": 3,
        "device": "cpu",
        "workers": 1,
        "threads": 2,
        "assignments": ["held_back=0.1"],
        "resume": False,
        "overwrite": True,
    }
    assert ran.code == 0
    assert ran.out == (
        "on 10 pictures held back: divergence 0.250 (0 to 0.693), the teacher's class for 40% of them; its commonest "
        "class alone is 20%\n12 epochs over 90 pictures; the backbone is in b.safetensors\n"
    )


def test_json_of_a_distillation_stands_alone(command_line: CommandLine) -> None:
    command_line.stand_in("distill_backbone", "distill_backbone", dataclasses.replace(DISTILLED, agreement=None))
    found = json.loads(command_line(*DISTILLING, "--json", "-").out)
    assert found["agreement"] is None
    assert (found["weights"], found["epochs"], found["seconds"]) == ("b.safetensors", 12, 61.5)


def test_pictures_and_the_file_to_write_must_be_named(command_line: CommandLine) -> None:
    ran = command_line("weights", "distill", "nanodet-m", "-o", "b.safetensors")
    assert ran.code == 2
    assert "--pictures" in ran.err
