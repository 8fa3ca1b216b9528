from __future__ import annotations

from pathlib import Path

import pytest

from sanderling.cli.arguments import as_options

OPTIONS = {"--imgsz": True, "--epochs": True, "--max-det": True, "--set": True, "-o": True, "--resume": False}
EITHER = {"--save": False, "--no-save": False}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--imgsz 320", "--imgsz 320"),
        ("--imgsz 320 416", "--imgsz 320x416"),
        ("--imgsz 320 416 m.onnx", "--imgsz 320x416 m.onnx"),
        ("m.onnx --imgsz 320 0", "m.onnx --imgsz 320 0"),
        ("--imgsz 320 416 640", "--imgsz 320x416 640"),
        ("--imgsz", "--imgsz"),
        ("epochs=10 max_det=5", "--epochs 10 --max-det 5"),
        ("resume=True", "--resume"),
        ("resume=False x", "x"),
        ("resume=maybe", "--resume=maybe"),
        ("--set epochs=10 -o epochs=3", "--set epochs=10 -o epochs=3"),
        ("lr=3", "lr=3"),
        ("--epochs=10", "--epochs=10"),
        ("-- epochs=10 --imgsz 320 416", "-- epochs=10 --imgsz 320 416"),
    ],
)
def test_spellings_of_other_tools_become_options(words: str, expected: str) -> None:
    assert as_options(words.split(), OPTIONS) == expected.split()


@pytest.mark.parametrize(("word", "expected"), [("save=True", "--save"), ("save=False", "--no-save")])
def test_a_flag_that_stands_by_default_can_be_taken_away(word: str, expected: str) -> None:
    assert as_options([word], EITHER) == [expected]


def test_a_file_that_is_named_like_an_assignment_stays_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("epochs=10").touch()
    assert as_options(["epochs=10"], OPTIONS) == ["epochs=10"]
