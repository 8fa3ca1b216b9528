from __future__ import annotations

import json
from pathlib import Path

import pytest

from sanderling.commands.preview import PreviewedBatch, PreviewResult
from sanderling.datasets.synthetic import write_scenes
from tests.support.command_line import CommandLine


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("data") / "scenes", train=4, val=2, size_hw=(64, 96))


def test_a_clean_set_is_counted_and_exits_with_0(command_line: CommandLine, scenes: Path) -> None:
    ran = command_line("data", "check", scenes)
    assert ran.code == 0
    assert "pictures" in ran.out
    read = json.loads(command_line("data", "check", scenes, "--json", "-").out)
    assert read["counts"]["pictures"] == 6
    assert read["counts"]["error"] == 0


def test_a_faulty_set_exits_with_1_and_names_the_fault(command_line: CommandLine, scenes: Path, tmp_path: Path) -> None:
    copy = tmp_path / "faulty"
    assert command_line("data", "convert", scenes, "--to", "coco", "-o", copy).code == 0
    picture = next((copy / "images" / "val").iterdir())
    picture.unlink()
    ran = command_line("data", "check", copy, "--json", "-")
    assert ran.code == 1
    finding = next(finding for finding in json.loads(ran.out)["findings"] if finding["severity"] == "error")
    assert set(finding) == {"file", "item", "field", "value", "rule", "severity", "remedy"}
    assert finding["file"].endswith(picture.name)
    shown = command_line("data", "check", copy)
    assert shown.code == 1
    assert finding["rule"] in shown.out


def test_stats_of_one_split(command_line: CommandLine, scenes: Path) -> None:
    ran = command_line("data", "stats", scenes, "--split", "val")
    assert ran.code == 0
    assert "crane" in ran.out
    read = json.loads(command_line("data", "stats", scenes, "--json", "-").out)
    assert [split["pictures"] for split in read["splits"]] == [4, 2]


def test_conversion_keeps_every_box_and_never_overwrites(
    command_line: CommandLine, scenes: Path, tmp_path: Path
) -> None:
    words = ("data", "convert", scenes, "--to", "yolo", "-o", tmp_path / "yolo")
    read = json.loads(command_line(*words, "--json", "-").out)
    checked = json.loads(command_line("data", "check", tmp_path / "yolo", "--json", "-").out)
    assert sum(read["boxes"].values()) == checked["counts"]["boxes"] > 0
    assert command_line(*words).code == 2


def test_a_new_split_takes_every_picture_once(command_line: CommandLine, scenes: Path, tmp_path: Path) -> None:
    words = ("data", "split", scenes, "--fractions", "train=0.5,val=0.5", "--seed", 1)
    ran = command_line(*words, "-o", tmp_path / "new", "--json", "-")
    assert ran.code == 0
    pictures = json.loads(ran.out)["pictures"]
    assert set(pictures) == {"train", "val"}
    assert sum(pictures.values()) == 6
    shown = command_line(*words, "-o", tmp_path / "again")
    assert str(tmp_path / "again") in shown.out.replace("\n", "")


def test_an_unknown_format_suggests_the_nearest(command_line: CommandLine, scenes: Path, tmp_path: Path) -> None:
    ran = command_line("data", "convert", scenes, "--to", "yol", "-o", tmp_path / "new")
    assert ran.code == 2
    assert "did you mean 'yolo'?" in ran.err


def test_a_path_without_data_is_a_data_error(command_line: CommandLine, tmp_path: Path) -> None:
    assert command_line("data", "check", tmp_path).code == 3


def test_anchors_are_shown_and_given_to_train(command_line: CommandLine, scenes: Path) -> None:
    words = ("data", "anchors", scenes, "--imgsz", 96, 160, "--count", 3, "--seed", 2)
    shown = command_line(*words)
    assert shown.code == 0
    assert "96 x 160" in shown.out
    assert "--set" not in shown.out
    with_model = command_line(*words, "--model", "yolov3-debug")
    assert with_model.code == 0
    assert "--set 'model.head.anchors=[[[" in with_model.out
    assert "yolov3-debug" in with_model.out


def test_anchors_as_json_are_the_same_bytes_twice(command_line: CommandLine, scenes: Path) -> None:
    words = ("data", "anchors", scenes, "--imgsz", 320, "--count", 4, "--seed", 5, "--json", "-")
    first, second = (command_line(*words) for _ in range(2))
    assert (first.code, first.out) == (0, second.out)
    read = json.loads(first.out)
    assert (read["seed"], read["input"], len(read["anchors"]), read["model"]) == (5, [320, 320], 4, None)
    assert command_line("data", "anchors", scenes).code == 2
    assert command_line(*words, "--model", "nanodet-debug").code == 2


def test_everything_that_is_named_reaches_the_preview(command_line: CommandLine) -> None:
    batch = PreviewedBatch(
        sheet="out/batch1.png", size_hw=(64, 96), pictures=2, boxes=7, without_boxes=0, of_several=1, weighed=3
    )
    result = PreviewResult(
        recipe="fine-tune",
        data="birds",
        split="val",
        seed=3,
        epoch=2,
        epochs=9,
        mosaic=True,
        batches_of_epoch=5,
        batches=(batch,),
        unreadable={},
    )
    preview = command_line.stand_in("preview", "preview", result)
    words = (
        "data preview nanodet-m --data birds --data-format coco --split val --epoch 2 --batches 3 --imgsz 64 96 "
        "--seed 3 --set batch=2 --set augment.mosaic=1 --columns 4 -o out --overwrite"
    )
    ran = command_line(*words.split())
    assert ran.code == 0, ran.err
    assert preview.called_with == {
        "run": "nanodet-m",
        "data": Path("birds"),
        "data_format": "coco",
        "split": "val",
        "epoch": 2,
        "batches": 3,
        "imgsz": (64, 96),
        "seed": 3,
        "assignments": ["batch=2", "augment.mosaic=1"],
        "columns": 4,
        "output": Path("out"),
        "overwrite": True,
    }
    assert "fine-tune on birds, val, epoch 2 of 9" in ran.out
    assert "out/batch1.png" in ran.out


def test_a_preview_is_drawn_and_told_as_json(command_line: CommandLine, scenes: Path, tmp_path: Path) -> None:
    words = (
        "data",
        "preview",
        "nanodet-debug",
        "--data",
        scenes,
        "--imgsz",
        64,
        96,
        "--set",
        "batch=2",
        "--batches",
        2,
    )
    read = json.loads(command_line(*words, "-o", tmp_path / "sheets", "--json", "-").out)
    assert [Path(batch["sheet"]).is_file() for batch in read["batches"]] == [True, True]
    wrong = command_line(*words, "-o", tmp_path / "more", "--epoch", 1000)
    assert (wrong.code, wrong.out) == (2, "")
    assert "epoch = 1000" in wrong.err
    assert command_line("data", "preview", "nanodet-debug", "--data", tmp_path / "none").code in (2, 3)
