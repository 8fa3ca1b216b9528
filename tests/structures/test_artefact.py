from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sanderling import config
from sanderling.errors import UsageError
from sanderling.structures.artefact import (
    Artefact,
    GreedyNms,
    MatrixNms,
    NoSuppression,
    Parity,
    PictureRule,
    PostprocessRule,
    SoftNms,
    Suppression,
    sidecar_path,
)

FULL = Artefact(
    model="nanodet-m",
    class_names=("fire", "smoke"),
    picture=PictureRule(size_hw=(256, 416), resize="stretch", pad_value=114),
    postprocess=PostprocessRule(score=0.1, class_agnostic=True),
    layout="yolo",
    input_dtype="uint8",
    parity=Parity(
        pictures=8,
        points=120,
        max_box_difference_px=0.01,
        max_score_difference=1e-6,
        detections=5,
        detections_equal=True,
    ),
)


def test_the_sidecar_stands_beside_its_artefact() -> None:
    assert sidecar_path(Path("out/nanodet-m.onnx")) == Path("out/nanodet-m.onnx.json")
    assert sidecar_path(Path("out/nanodet-m_ncnn_model")) == Path("out/nanodet-m_ncnn_model.json")


def test_plain_values_and_back() -> None:
    assert config.parse(Artefact, config.plain(FULL)) == FULL


@pytest.mark.parametrize(
    "suppression", [GreedyNms(), SoftNms(decay="linear"), MatrixNms(decay="gaussian", sigma=2.0), NoSuppression()]
)
def test_every_suppression_survives(suppression: Suppression) -> None:
    rule = PostprocessRule(suppression=suppression)
    assert config.parse(PostprocessRule, config.plain(rule)) == rule


def test_a_sidecar_from_before_there_were_others_is_greedy() -> None:
    plain = config.plain(FULL)
    del plain["postprocess"]["suppression"]
    assert config.parse(Artefact, plain) == FULL
    assert FULL.postprocess.suppression == GreedyNms()


def test_one_value_changes_the_suppression() -> None:
    rule = config.override(PostprocessRule(iou=0.4), ["suppression.kind=matrix", "suppression.decay=gaussian"])
    assert rule == PostprocessRule(iou=0.4, suppression=MatrixNms(decay="gaussian"))
    assert config.override(rule, ["suppression.kind=none"]).suppression == NoSuppression()


@pytest.mark.parametrize(
    ("suppression", "takes"),
    [
        (GreedyNms(), True),
        (SoftNms(decay="linear"), True),
        (SoftNms(decay="gaussian"), False),
        (MatrixNms(), False),
        (NoSuppression(), False),
    ],
)
def test_which_suppression_asks_for_an_iou(suppression: Suppression, takes: bool) -> None:
    assert PostprocessRule(suppression=suppression).takes_iou is takes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format_version": 2}, "format_version = 2"),
        ({"engine": "tensorrt"}, "engine = 'tensorrt'"),
        ({"layouts": "nms"}, "unknown key 'layouts'; did you mean 'layout'"),
        ({"picture": {"size_hw": [0, 320]}}, "picture.size_hw.0 = 0"),
        ({"picture": {"pad_value": 256}}, "picture.pad_value = 256"),
        ({"postprocess": {"score": -0.1}}, "postprocess.score = -0.1"),
        ({"postprocess": {"iou": 0}}, "postprocess.iou = 0"),
        ({"postprocess": {"max_detections": 0}}, "postprocess.max_detections = 0"),
        ({"postprocess": {"max_det": 1}}, "unknown key 'postprocess.max_det'"),
        ({"postprocess": {"suppression": {"kind": "matrx"}}}, "did you mean 'matrix'"),
        ({"postprocess": {"suppression": {"kind": "soft", "sigma": 0}}}, "postprocess.suppression.sigma = 0"),
        (
            {"postprocess": {"suppression": {"kind": "greedy", "sigma": 1}}},
            "unknown key 'postprocess.suppression.sigma'",
        ),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as raised:
        config.parse(Artefact, {**config.plain(FULL), **changes}, source="m.onnx.json")
    assert str(raised.value).startswith("m.onnx.json: ")
    assert words in str(raised.value)


def test_the_published_defaults_of_nanodet() -> None:
    rule = PostprocessRule()
    assert (rule.score, rule.iou, rule.max_detections, rule.multi_label, rule.class_agnostic) == (
        0.05,
        0.6,
        100,
        True,
        False,
    )
    assert PictureRule() == PictureRule(size_hw=(320, 320), resize="letterbox", pad_value=0)
