from __future__ import annotations

import json
from pathlib import Path

import pytest

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
