"""Any model that a user names, opened."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from sanderling.commands.open_detector import find_weights, open_detector, picture_rule
from sanderling.errors import MissingDependencyError, ModelError, UsageError
from sanderling.models.predictor import TorchDetector
from sanderling.runtimes.detector import ArtefactDetector
from sanderling.structures.artefact import MatrixNms, PictureRule, SoftNms
from tests.support.artefacts import TINY_HW, pictures, tiny_artefact, tiny_weights


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Thread counts belong to the process: put them back."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


def test_a_weights_file_and_its_artefact_find_the_same() -> None:
    from_weights = open_detector(tiny_weights(), conf=0.4, iou=0.5, max_det=30, device="cpu", threads=1)
    from_artefact = open_detector(tiny_artefact(), conf=0.4, iou=0.5, max_det=30, threads=1)
    assert isinstance(from_weights, TorchDetector)
    assert isinstance(from_artefact, ArtefactDetector)
    assert from_weights.picture == from_artefact.picture
    ours, theirs = from_weights(pictures(3)), from_artefact(pictures(3))
    assert [len(found) for found in ours] == [len(found) for found in theirs]
    assert all(0 < len(found) <= 30 for found in ours)
    assert all(found.scores.min() > 0.4 for found in ours)


def test_threads_hold_for_everything_that_computes() -> None:
    for model in (tiny_weights(), tiny_artefact()):
        cv2.setNumThreads(2)
        open_detector(model, device="cpu", threads=1)
        assert cv2.getNumThreads() == 1
    assert torch.get_num_threads() == 1


def test_a_run_folder_stands_for_its_best_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no weights/best\.safetensors; name a run folder"):
        find_weights(tmp_path)
    (tmp_path / "weights").mkdir()
    shutil.copy(tiny_weights(), tmp_path / "weights" / "best.safetensors")
    assert open_detector(tmp_path, device="cpu").picture.size_hw == TINY_HW


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("nanodet-m", r"no such file or folder; .*\(names of the zoo carry no weights"),
        ("absent.onnx", "no such artefact"),
    ],
)
def test_what_is_not_there_is_a_model_error(tmp_path: Path, model: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        open_detector(tmp_path / model)
    assert caught.value.exit_code == 4


def test_foreign_weights_are_sent_to_import(tmp_path: Path) -> None:
    (tmp_path / "m.pth").touch()
    with pytest.raises(ModelError, match=r"files ending in '\.pth' cannot be opened .* sanderling weights import"):
        open_detector(tmp_path / "m.pth")


def test_an_artefact_is_no_weights_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is an exported artefact; .* name a \.safetensors file or a run folder"):
        find_weights(tiny_artefact())


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"threads": 0}, "threads = 0"),
        ({"imgsz": (1, 2, 3)}, r"imgsz = \[1, 2, 3\]: one side or height and width"),
        ({"resize": "crop"}, "resize = 'crop': letterbox or stretch"),
        ({"conf": 2.0}, r"conf: score = 2\.0"),
        ({"iou": 0.0}, r"iou = 0\.0"),
        ({"max_det": 0}, "max_det: max_detections = 0"),
    ],
)
@pytest.mark.parametrize("kind", ["weights", "artefact"])
def test_values_that_do_not_fit_are_wrong_use(kind: str, chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_detector(tiny_weights() if kind == "weights" else tiny_artefact(), **chosen)


def test_devices_are_checked_by_name() -> None:
    with pytest.raises(UsageError, match="an exported artefact runs on the processor"):
        open_detector(tiny_artefact(), device="cuda")
    with pytest.raises(UsageError, match="device = 'gpu': no device is named so"):
        open_detector(tiny_weights(), device="gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_wrong_use() -> None:
    for name in ("cuda", "0"):
        with pytest.raises(UsageError, match="this machine has no usable GPU; use --device cpu"):
            open_detector(tiny_weights(), device=name)


def test_an_artefact_keeps_its_size_and_weights_take_any(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ModelError, match="takes 64x96"):
        open_detector(tiny_artefact(), imgsz=128)
    assert open_detector(tiny_weights(), imgsz=(100, 61), device="cpu").picture.size_hw == (128, 64)
    assert "imgsz 100x61 is rounded up to 128x64" in caplog.text


def test_a_picture_rule_changes_only_what_is_asked_for() -> None:
    rule = PictureRule(size_hw=(64, 96), resize="letterbox", pad_value=114)
    assert picture_rule(rule, imgsz=None, resize=None, stride=32) == rule
    changed = picture_rule(rule, imgsz=320, resize="stretch", stride=32)
    assert changed == PictureRule(size_hw=(320, 320), resize="stretch", pad_value=114)


def test_weights_without_torch_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'sanderling\[train\]'"):
        open_detector(tiny_weights())
    assert "torch" in sys.modules


@pytest.mark.parametrize("kind", ["weights", "artefact"])
def test_any_rule_can_be_set(kind: str) -> None:
    detector = open_detector(
        tiny_weights() if kind == "weights" else tiny_artefact(),
        conf=0.4,
        resize="stretch",
        device="cpu",
        assignments=["postprocess.suppression.kind=matrix", "picture.pad_value=114", "postprocess.score=0.3"],
    )
    rule = detector.postprocess
    assert (rule.suppression, rule.score, rule.iou) == (MatrixNms(), 0.3, 0.6)
    assert (detector.picture.pad_value, detector.picture.resize) == (114, "stretch")
    greedy = open_detector(tiny_artefact(), assignments=["postprocess.score=0.3"])
    assert detector(pictures(1))[0].scores.tolist() != greedy(pictures(1))[0].scores.tolist()


def test_a_threshold_that_the_suppression_does_not_know_is_wrong_use() -> None:
    chosen = {"iou": 0.5, "device": "cpu", "assignments": ["postprocess.suppression.kind=soft"]}
    with pytest.raises(UsageError, match=r"iou = 0\.5: the suppression is SoftNms.*\.suppression\.kind=greedy"):
        open_detector(tiny_weights(), **chosen)  # type: ignore[arg-type]
    chosen["assignments"] = ["postprocess.suppression={kind: soft, decay: linear}"]
    rule = open_detector(tiny_weights(), **chosen).postprocess  # type: ignore[arg-type]
    assert (rule.suppression, rule.iou) == (SoftNms(decay="linear"), 0.5)


def test_a_rule_that_is_not_there_is_wrong_use() -> None:
    with pytest.raises(UsageError, match=r"unknown key 'postprocess\.sore'; did you mean 'score'"):
        open_detector(tiny_artefact(), assignments=["postprocess.sore=0.3"])
