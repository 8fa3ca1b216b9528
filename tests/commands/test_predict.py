"""`predict`: from sources to detections and files."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sanderling.commands.open_detector import open_detector
from sanderling.commands.predict import class_numbers, predict, predict_with
from sanderling.errors import DataError, ModelError, UsageError
from sanderling.pictures import decode
from sanderling.streams.video import VideoWriter, read_video
from tests.support.artefacts import TINY_CLASSES, pictures, tiny_artefact, tiny_weights, write_picture
from tests.support.shared import shared_path


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _written(folder: str | Path) -> Any:
    return json.loads(Path(folder, "predictions.json").read_text())


def _video(path: str, frames: int) -> str:
    writer = VideoWriter(Path(path), size_hw=(60, 90), frames_per_second=15)
    for image in pictures(frames, size_hw=(60, 90)):
        writer.write(image)
    writer.close()
    return path


def test_every_kind_of_source_in_one_call() -> None:
    for name in ("a.png", "shots/1.jpg", "shots/2.bmp", "more/3.jpg"):
        write_picture(Path(name))
    Path("list.txt").write_text("a.png\n")
    array = pictures(1, size_hw=(50, 31))[0]
    sources = ["a.png", "shots", "more/*.jpg", "list.txt", _video("v.mp4", 3), array, Image.fromarray(array)]
    found = list(predict(tiny_artefact(), sources, output="out", threads=1))
    assert [(item.source, item.frame) for item in found] == [
        ("a.png", None),
        ("shots/1.jpg", None),
        ("shots/2.bmp", None),
        ("more/3.jpg", None),
        ("a.png", None),
        ("v.mp4", 0),
        ("v.mp4", 1),
        ("v.mp4", 2),
        ("picture 6", None),
        ("picture 7", None),
    ]
    assert all(len(item) for item in found)
    assert found[0].size_hw == (47, 90)
    assert found[-1].size_hw == (50, 31)
    assert [item["source"] for item in _written("out")["pictures"]] == [item.source for item in found]
    drawn = sorted(path.name for path in Path("out").iterdir() if path.suffix in (".jpg", ".mp4"))
    assert drawn == ["1.jpg", "2.jpg", "3.jpg", "a-2.jpg", "a.jpg", "picture_6.jpg", "picture_7.jpg", "v.mp4"]
    assert len(list(read_video("out/v.mp4"))) == 3
    assert decode(Path("out/picture_6.jpg")).shape == (50, 31, 3)
    with Path("out/predictions.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == sum(len(item) for item in found)


def test_without_saving_nothing_is_written() -> None:
    write_picture(Path("a.png"))
    assert len(list(predict(tiny_artefact(), ["a.png"], save=False))) == 1
    assert [path.name for path in Path.cwd().iterdir()] == ["a.png"]


def test_without_an_output_the_folder_is_numbered_and_a_named_one_is_used_again() -> None:
    write_picture(Path("a.png"))
    for _ in range(2):
        list(predict(tiny_artefact(), ["a.png"]))
        list(predict(tiny_artefact(), ["a.png"], output="again"))
    assert sorted(path.name for path in Path("runs/predict").iterdir()) == ["tiny", "tiny2"]
    assert len(_written("again")["pictures"]) == 1


def test_classes_and_thresholds_choose() -> None:
    write_picture(Path("a.png"))
    everything = next(predict(tiny_artefact(), ["a.png"], save=False))
    assert everything.scores.min() >= 0.25
    some = next(predict(tiny_artefact(), ["a.png"], save=False, classes=["smoke", 2]))
    assert len(some) == int(np.isin(everything.labels, [1, 2]).sum()) < len(everything)
    assert next(predict(tiny_artefact(), ["a.png"], save=False, conf=0.6)).scores.min() >= 0.6
    assert len(next(predict(tiny_artefact(), ["a.png"], save=False, max_det=3))) == 3
    assert len(next(predict(tiny_artefact(), ["a.png"], save=False, iou=0.1))) < len(everything)


def test_a_weights_file_predicts_as_its_artefact_does() -> None:
    write_picture(Path("a.png"), size_hw=(130, 55))
    ours = next(predict(tiny_weights(), ["a.png"], save=False, device="cpu"))
    theirs = next(predict(tiny_artefact(), ["a.png"], save=False))
    assert len(ours) == len(theirs) > 0
    np.testing.assert_allclose(ours.boxes_xyxy, theirs.boxes_xyxy, atol=0.1)


def test_what_cannot_be_read_is_counted_and_the_rest_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    write_picture(Path("shots/1.png"))
    Path("shots/2.png").write_bytes(b"")
    Path("shots/3.mp4").write_bytes(b"no video")
    told: list[str] = []
    found = list(predict(tiny_artefact(), ["shots"], output="out", on_unreadable=lambda item: told.append(item.source)))
    assert [item.source for item in found] == ["shots/1.png"]
    assert told == [item["source"] for item in _written("out")["unreadable"]] == ["shots/2.png", "shots/3.mp4"]
    assert "2 of 3 sources could not be read" in caplog.text


def test_where_nothing_can_be_read_the_run_fails_and_says_why() -> None:
    Path("1.png").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"not a single picture could be read; the first reason: 1\.png: has zero bytes"
    ):
        list(predict(tiny_artefact(), ["1.png"], output="out"))
    assert len(_written("out")["unreadable"]) == 1


def test_a_run_that_is_stopped_leaves_valid_files() -> None:
    found = predict(tiny_artefact(), [_video("v.mp4", 9)], output="out")
    for _ in range(4):
        next(found)
    found.close()  # type: ignore[attr-defined]
    assert [item["frame"] for item in _written("out")["pictures"]] == [0, 1, 2, 3]
    assert len(list(read_video("out/v.mp4"))) == 4
    assert not list(Path("out").glob("*.partial"))


@pytest.mark.parametrize(
    ("chosen", "error", "words"),
    [
        ({"sources": ["absent.jpg"]}, DataError, "no such file, folder or pattern"),
        ({"classes": ["smok"]}, UsageError, "the model knows no class 'smok'; did you mean 'smoke'"),
        ({"classes": [3]}, UsageError, "the model knows no class '3'"),
        ({"model": "absent.onnx"}, ModelError, "no such artefact"),
        ({"conf": 7}, UsageError, r"conf: score = 7"),
    ],
)
def test_a_mistake_is_told_at_once_and_leaves_no_folder(
    chosen: dict[str, Any], error: type[Exception], words: str
) -> None:
    write_picture(Path("a.png"))
    with pytest.raises(error, match=words):
        predict(**{"model": tiny_artefact(), "sources": ["a.png"], **chosen})
    assert [path.name for path in Path.cwd().iterdir()] == ["a.png"]


@pytest.mark.parametrize("output", ["shots", "./shots/", "linked"])
def test_drawn_pictures_never_take_the_place_of_what_is_read(output: str) -> None:
    picture = write_picture(Path("shots/1.jpg"))
    Path("linked").symlink_to("shots")
    Path("single").mkdir()
    Path("single/1.jpg").symlink_to(picture.resolve())
    before = picture.read_bytes()
    for source in ("shots", "shots/1.jpg", "single/1.jpg"):
        with pytest.raises(UsageError, match=r"holds pictures that are to be read.*name another folder"):
            predict(tiny_artefact(), [source], output=output)
    assert picture.read_bytes() == before
    assert [path.name for path in Path("shots").iterdir()] == ["1.jpg"]


def test_a_fast_decode_gives_boxes_in_pixels_of_the_original() -> None:
    write_picture(Path("large.jpg"), size_hw=(800, 1200))
    exact, fast = (
        next(predict(tiny_artefact(), ["large.jpg"], save=False, fast_decode=fast)) for fast in (False, True)
    )
    assert exact.size_hw == fast.size_hw == (800, 1200)
    assert exact.boxes_xyxy.max() > 400
    assert fast.boxes_xyxy.max() > 400


def test_an_open_detector_serves_many_calls() -> None:
    detector = open_detector(tiny_artefact(), conf=0.25, threads=1)
    picture = pictures(1)[0]
    first, second = (list(predict_with(detector, [picture, picture], model="tiny", save=False)) for _ in range(2))
    assert [item.to_plain() for item in first] == [item.to_plain() for item in second]


def test_classes_go_by_name_or_number() -> None:
    assert class_numbers(["crane", 0, "1"], TINY_CLASSES) == [2, 0, 1]
    # A class that is named like a number is meant by its name.
    assert class_numbers(["0"], ("1", "0")) == [1]


def test_an_artefact_predicts_where_torch_cannot_be_imported() -> None:
    write_picture(Path("a.png"))
    code = (
        "import sys; sys.modules.update(torch=None, torchvision=None, onnx=None)\n"
        "from sanderling.commands.predict import predict\n"
        "print(sum(len(found) for found in predict(sys.argv[1], ['a.png'], output='out')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_artefact())], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 0
    assert Path("out/a.jpg").exists()


@pytest.mark.slow
def test_a_real_video_keeps_every_frame() -> None:
    video = shared_path("videos/bottle-detection.mp4")
    frames = sum(1 for _ in predict(tiny_artefact(), [video], output="out", threads=1))
    assert frames == len(_written("out")["pictures"]) == len(list(read_video("out/bottle-detection.mp4")))
