"""Reading a sidecar: beside the artefact, then inside it, and every way it can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sanderling import config
from sanderling.errors import ModelError
from sanderling.runtimes.sidecar import parse_sidecar, read_sidecar
from sanderling.structures.artefact import SIDECAR_KEY, Artefact, Parity, PictureRule, PostprocessRule, sidecar_path

_ARTEFACT = Artefact(
    model="m",
    class_names=("fire", "no"),
    picture=PictureRule(size_hw=(64, 96), resize="stretch"),
    postprocess=PostprocessRule(score=0.1),
    input_scale=1 / 255,
    parity=Parity(
        pictures=1,
        points=2,
        max_box_difference_px=1e-5,
        max_score_difference=0.0,
        detections=3,
        detections_equal=True,
    ),
)


def _text(**changes: Any) -> str:
    return json.dumps({**config.plain(_ARTEFACT), **changes})


def test_what_was_written_is_read_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    sidecar_path(path).write_text(_text())
    assert read_sidecar(path, {}) == _ARTEFACT


def test_the_file_beside_is_taken_before_what_is_inside(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    inside = {SIDECAR_KEY: _text(model="inside")}
    assert read_sidecar(path, inside).model == "inside"
    sidecar_path(path).write_text(_text(model="beside"))
    assert read_sidecar(path, inside).model == "beside"


def test_neither_is_an_error_that_names_both(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither a sidecar m\.onnx\.json beside it nor metadata"):
        read_sidecar(tmp_path / "m.onnx", {"names": "{}"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "here: is no JSON"),
        ("[" * 100_000, "here: is no JSON"),
        ("1" * 5000, "here: is no JSON"),
        ("[]", "format_version = None; this sanderling reads 1"),
        (_text(format_version=2), "format_version = 2; this sanderling reads 1"),
        (_text(engine="abacus"), "engine = 'abacus'"),
        (_text(layuot="yolo"), "unknown key 'layuot'; did you mean 'layout'"),
        (_text(class_names=3), "class_names = 3"),
        (_text(postprocess={"score": 1.5}), r"postprocess.score = 1\.5"),
    ],
)
def test_a_sidecar_that_does_not_fit_is_refused(text: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        parse_sidecar(text, source="here")


def test_a_sidecar_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    sidecar_path(path).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="cannot be read"):
        read_sidecar(path, {})
