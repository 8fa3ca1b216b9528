from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.commands import val as val_command
from sanderling.commands.val import open_split, val
from sanderling.errors import DataError, ModelError, UsageError
from sanderling.evaluation.evaluate import evaluate
from sanderling.evaluation.results_file import read_flat_results
from sanderling.structures.artefact import MatrixNms, NoSuppression, PictureRule, PostprocessRule, SoftNms
from sanderling.structures.detections import Detections
from tests.support.scored import found_of
from tests.support.shared import shared_path
from tests.support.small_sets import clean_set, put

AP_TOLERANCE, AP50_TOLERANCE = 0.003, 0.005


class Fixed:
    """Says the same of every picture."""

    picture = PictureRule(size_hw=(64, 96), resize="stretch")
    postprocess = PostprocessRule()

    def __init__(
        self, rows: list[tuple[int, float, tuple[float, float, float, float]]], names: tuple[str, ...]
    ) -> None:
        self.rows, self.class_names = rows, names

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        return [found_of(self.rows, self.class_names) for _ in pictures]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the detector was opened with; it finds the only fire of val, and one crane."""
    asked: dict[str, Any] = {}
    names = ("smoke", "crane", "fire")

    def stand_in(model: str | Path, **options: Any) -> Fixed:
        asked.update(options, model=model)
        return Fixed([(2, 0.9, (10, 10, 20, 20)), (1, 0.8, (5, 5, 38, 26))], names)

    monkeypatch.setattr(val_command, "open_detector", stand_in)
    return asked


@pytest.mark.parametrize("data_format", ["coco", "yolo", "voc"])
def test_a_split_is_measured_in_the_classes_of_the_data_set(
    tmp_path: Path, opened: dict[str, Any], data_format: str
) -> None:
    report = val("m.onnx", data=clean_set(tmp_path / "birds", data_format), threshold=0.5)
    fire, smoke = report.per_class
    assert (fire.name, fire.objects, fire.detections) == ("fire", 1, 2)
    assert [fire.AP50, fire.AP_voc] == pytest.approx([1, 1])
    assert (fire.miss_rate, fire.false_alarms_per_picture) == (0, 0.5)
    assert (smoke.AP, smoke.detections, smoke.miss_rate) == (0, 0, 1)
    assert report.metrics["AP50"] == pytest.approx(0.5)
    assert report.counts["pictures"] == 2
    assert report.counts["unreadable"] == 0
    assert set(report.timings) == {"predict_s", "evaluate_s"}
    assert (report.model, report.data) == ("m.onnx", "birds val")
    assert "input 64x96 (height x width), stretch; score above 0.05, NMS 0.6 per class" in report.protocol


def test_what_the_user_asks_for_reaches_the_detector(tmp_path: Path, opened: dict[str, Any]) -> None:
    given = {
        "imgsz": [64, 96],
        "resize": "stretch",
        "conf": 0.1,
        "iou": 0.5,
        "max_det": 7,
        "device": "cpu",
        "threads": 1,
        "assignments": ["postprocess.suppression.kind=matrix"],
    }
    val("m.onnx", data=clean_set(tmp_path, "coco"), **given)  # type: ignore[arg-type]
    assert opened == {**given, "model": "m.onnx"}


def test_without_wishes_the_models_own_rules_hold(tmp_path: Path, opened: dict[str, Any]) -> None:
    val("m.onnx", data=clean_set(tmp_path, "coco"))
    assert set(opened.values()) == {None, "m.onnx", ()}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (PostprocessRule(class_agnostic=True), "NMS 0.6 over all classes, at most 100"),
        (PostprocessRule(suppression=SoftNms(decay="linear")), "Soft NMS linear 0.6 per class"),
        (PostprocessRule(suppression=SoftNms()), "Soft NMS gaussian (sigma 0.5) per class"),
        (PostprocessRule(suppression=MatrixNms()), "Matrix NMS linear per class"),
        (PostprocessRule(suppression=NoSuppression()), "score above 0.05, no suppression, at most"),
    ],
)
def test_the_protocol_says_how_boxes_were_suppressed(
    tmp_path: Path, opened: dict[str, Any], monkeypatch: pytest.MonkeyPatch, rule: PostprocessRule, words: str
) -> None:
    monkeypatch.setattr(Fixed, "postprocess", rule)
    assert words in val("m.onnx", data=clean_set(tmp_path, "coco")).protocol


def test_classes_that_are_left_out_are_named(
    tmp_path: Path, opened: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        val("m.onnx", data=clean_set(tmp_path, "coco"))
    assert "1 of the model's 3 classes are not in the data set and are left out: crane" in caplog.text


def test_a_class_that_the_model_does_not_know_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(val_command, "open_detector", lambda model, **options: Fixed([], ("fire", "crane")))
    with pytest.raises(DataError, match="class 'smoke' of the data set is unknown to the model"):
        val("m.onnx", data=clean_set(tmp_path, "coco"))


def test_predictions_are_written_as_coco_results(tmp_path: Path, opened: dict[str, Any]) -> None:
    data, file = clean_set(tmp_path / "birds", "coco"), tmp_path / "predictions.json"
    report = val("m.onnx", data=data, predictions=file)
    entries = json.loads(file.read_text())
    assert entries[0] == {
        "image_id": 1,
        "category_id": 1,
        "bbox": [10, 10, 10, 10],
        "score": pytest.approx(0.9, abs=1e-6),
    }
    assert len(entries) == 2
    dataset = open_split(data)
    assert evaluate(dataset, read_flat_results(file, dataset)).metrics == report.metrics


def test_unreadable_pictures_are_counted_and_warned_of(
    tmp_path: Path, opened: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    data = clean_set(tmp_path, "coco")
    put(data / "images" / "val" / "e.jpg", b"")
    report = val("m.onnx", data=data)
    assert report.counts["unreadable"] == 1
    assert "e.jpg: has zero bytes" in caplog.text
    assert "1 of 2 pictures could not be read" in caplog.text
    put(data / "images" / "val" / "d.jpg", b"")
    with pytest.raises(DataError, match="not a single picture could be read"):
        val("m.onnx", data=data)


def test_the_split_is_val_or_the_one_that_the_path_is_or_the_one_named(tmp_path: Path) -> None:
    data = clean_set(tmp_path, "coco")
    assert open_split(data).split == "val"
    assert open_split(data, split="train").split == "train"
    assert open_split(data / "annotations" / "instances_train.json").split == "train"
    (data / "annotations" / "instances_val.json").unlink()
    with pytest.raises(UsageError, match="has no split 'val'; there are: train"):
        open_split(data)


def test_only_the_first_pictures_are_measured_on_request(tmp_path: Path, opened: dict[str, Any]) -> None:
    data = clean_set(tmp_path, "coco")
    assert val("m.onnx", data=data, limit=1).counts["pictures"] == 1
    assert val("m.onnx", data=data, limit=9).counts["pictures"] == 2
    with pytest.raises(UsageError, match="limit = 0"):
        val("m.onnx", data=data, limit=0)


def test_wrong_use_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="threshold = 2"):
        val("m.onnx", data=tmp_path, threshold=2)
    with pytest.raises(UsageError, match="data format 'kitti' is not known"):
        val("m.onnx", data=tmp_path, data_format="kitti")
    with pytest.raises(DataError, match="no such file or folder"):
        val("m.onnx", data=tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"m\.onnx"):
        val(tmp_path / "m.onnx", data=clean_set(tmp_path, "coco"))


def test_faulty_labels_that_are_left_out_are_mentioned(
    tmp_path: Path, opened: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    data = clean_set(tmp_path, "coco")
    file = data / "annotations" / "instances_val.json"
    document = json.loads(file.read_text())
    document["annotations"][0]["bbox"] = [10, 10, 0, 10]
    file.write_text(json.dumps(document))
    val("m.onnx", data=data)
    assert "1 faulty entries are left out" in caplog.text


@pytest.mark.parametrize("fast", [False, True])
def test_a_network_and_its_file_score_through_the_same_call(tmp_path: Path, fast: bool) -> None:
    pytest.importorskip("torch")
    from sanderling.models import zoo
    from sanderling.models.weights.safetensors_file import save_network

    weights = tmp_path / "debug.safetensors"
    save_network(zoo.config("nanodet-debug", ("fire", "smoke")).build(), weights)
    report = val(weights, data=clean_set(tmp_path / "set", "yolo"), imgsz=64, threads=1, conf=0.0, fast_decode=fast)
    assert report.counts["detections"] > 0
    assert report.metrics["AP"] is not None
    assert ("reduced scale" in report.protocol) == fast


@pytest.mark.slow
def test_the_published_weights_reach_their_published_precision(tmp_path: Path) -> None:
    """NanoDet-m at 320 on a part of COCO val2017; the exported file within 0.1."""
    pytest.importorskip("torch")
    from sanderling import pictures
    from sanderling.export.write import ExportChoice, export_onnx
    from sanderling.models import zoo
    from sanderling.models.weights.safetensors_file import save_network
    from sanderling.models.weights.start import start_from

    data = shared_path("data/coco_val2017_subset")
    network = zoo.config("nanodet-m").build()
    report = start_from(network, shared_path("weights/nanodet/nanodet_m_320_coco.pth"))
    assert (report.missing, report.unexpected, report.remade) == ((), (), ())
    weights, artefact = tmp_path / "nanodet.safetensors", tmp_path / "nanodet.onnx"
    save_network(network, weights)
    samples = [pictures.decode(path) for path in sorted((data / "images").rglob("*.jpg"))[:4]]
    export_onnx(network, artefact, ExportChoice(picture=network.config.picture), pictures=samples)
    for resize, ap, ap50 in (("stretch", 0.231, 0.380), ("letterbox", 0.245, 0.398)):
        ours = val(weights, data=data, split="dev", resize=resize, threads=1).metrics
        exported = val(artefact, data=data, split="dev", resize=resize, threads=1).metrics
        assert ours["AP"] == pytest.approx(ap, abs=AP_TOLERANCE)
        assert ours["AP50"] == pytest.approx(ap50, abs=AP50_TOLERANCE)
        assert exported["AP"] == pytest.approx(ours["AP"], abs=0.001)
        assert exported["AP50"] == pytest.approx(ours["AP50"], abs=0.001)
