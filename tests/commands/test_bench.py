"""`bench`: figures of artefacts side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sanderling.commands.bench import bench
from sanderling.commands.val import val
from sanderling.errors import DataError, ModelError, UsageError
from tests.support.artefacts import TINY_CLASSES, tiny_artefact, tiny_weights, write_picture
from tests.support.small_sets import coco_document, put, put_picture


def test_without_pictures_a_rendered_scene_is_taken() -> None:
    (result,) = bench([tiny_artefact()], rounds=2, memory=False)
    assert (result.rounds, result.threads, result.pictures) == (2, 1, 1)
    assert result.accuracy is None
    # The scene is much larger than the input: decoding it is the dear part of this tiny network.
    assert result.timings["decode"].median_ms > result.timings["fit"].median_ms


def test_pictures_of_a_folder_take_turns(tmp_path: Path) -> None:
    for number in range(20):
        write_picture(tmp_path / f"{number}.png")
    assert bench([tiny_artefact()], pictures=tmp_path, rounds=1, memory=False)[0].pictures == 16
    assert bench([tiny_artefact()], pictures=f"{tmp_path}/1*.png", rounds=1, memory=False)[0].pictures == 11


def test_accuracy_is_what_val_measures(tmp_path: Path) -> None:
    put_picture(tmp_path / "images" / "val" / "a.jpg", 1)
    document = coco_document({"a.jpg": [(1, [0, 0, 40, 40])]}, names=dict(enumerate(TINY_CLASSES, start=1)))
    put(tmp_path / "annotations" / "instances_val.json", json.dumps(document))
    (result,) = bench([tiny_artefact()], data=tmp_path, rounds=1, memory=False)
    assert result.accuracy == val(tiny_artefact(), data=tmp_path, threads=1).metrics
    assert result.accuracy is not None
    assert result.accuracy["AP"] is not None
    assert result.accuracy["AP_small"] is None


def test_a_data_set_that_is_not_there_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    told: list[int] = []
    with pytest.raises(DataError, match="absent: no such file"):
        bench([tiny_artefact()], data=tmp_path / "absent", progress=lambda done, _: told.append(done))
    assert not told


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"threads": 0}, "threads = 0: at least 1"),
        ({"rounds": 0}, "rounds = 0: at least 1"),
        ({"conf": 1.5}, r"conf = 1\.5: 0 to 1"),
    ],
)
def test_values_that_do_not_fit_are_refused(chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        bench([tiny_artefact()], **chosen)


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no artefact is named"):
        bench([])
    with pytest.raises(ModelError, match=r"tiny\.safetensors: is no artefact that can be run"):
        bench([tiny_weights()])
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"bad\.jpg: "):
        bench([tiny_artefact()], pictures=tmp_path / "bad.jpg")
    (tmp_path / "v.mp4").touch()
    with pytest.raises(DataError, match="names no picture file"):
        bench([tiny_artefact()], pictures=tmp_path / "v.mp4")
