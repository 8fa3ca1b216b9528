"""The ONNX file: what other people's tools read in it, and all its forms against torch."""

from __future__ import annotations

import ast
import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from sanderling import config as configuration
from sanderling.export.onnx import trace_onnx
from sanderling.export.write import ExportChoice, artefact_of, export_onnx
from sanderling.ops.array.postprocess import postprocess
from sanderling.ops.tensor.decode import decode
from sanderling.runtimes.open import open_artefact
from sanderling.runtimes.sidecar import read_sidecar
from sanderling.structures.artefact import SIDECAR_KEY, MatrixNms, PictureRule, PostprocessRule
from tests.support.artefacts import TINY_CLASSES, TINY_HW, pictures, tiny_artefact, tiny_network


def _metadata(path: Path) -> dict[str, str]:
    return {prop.key: prop.value for prop in onnx.load(path).metadata_props}


def test_the_metadata_says_what_runners_look_for() -> None:
    metadata = _metadata(tiny_artefact())
    assert ast.literal_eval(metadata["names"]) == dict(enumerate(TINY_CLASSES))
    assert ast.literal_eval(metadata["imgsz"]) == list(TINY_HW)
    assert metadata["stride"] == str(tiny_network().stride)
    assert (metadata["task"], metadata["batch"], metadata["channels"]) == ("detect", "1", "3")
    preprocess = json.loads(metadata["preprocess"])
    assert (preprocess["color"], preprocess["range"], preprocess["resize"]) == ("RGB", [0, 255], "letterbox")
    assert len(metadata["weights_sha256"]) == 64


def test_the_metadata_carries_the_whole_sidecar() -> None:
    beside = read_sidecar(tiny_artefact(), {})
    assert json.loads(_metadata(tiny_artefact())[SIDECAR_KEY]) == configuration.plain(beside)
    assert beside.parity is not None


def test_the_file_is_whole_and_names_no_place_of_this_machine() -> None:
    model = onnx.load(tiny_artefact(), load_external_data=False)
    onnx.checker.check_model(model)
    assert model.opset_import[0].version == 20
    assert [value.name for value in model.graph.input] == ["images"]
    assert [value.name for value in model.graph.output] == ["boxes_xyxy", "scores"]
    content = tiny_artefact().read_bytes()
    for place in (Path.cwd(), Path(torch.__file__).parent, Path.home()):
        assert str(place).encode() not in content


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [
        {"layout": "yolo", "dynamic_batch": True},
        {"layout": "nms"},
        {"input_dtype": "uint8", "dynamic_batch": True},
    ],
    ids=["yolo", "nms", "uint8"],
)
def test_every_form_agrees_with_torch(chosen: dict[str, Any], tmp_path: Path) -> None:
    choice = ExportChoice(picture=PictureRule(size_hw=(96, 64), resize="stretch", pad_value=114), **chosen)
    outcome = export_onnx(tiny_network(), tmp_path / "tiny.onnx", choice, pictures=pictures(4))
    assert outcome.parity.detections > 100
    model = onnx.load(outcome.path)
    given = model.graph.input[0].type.tensor_type
    assert given.elem_type == (onnx.TensorProto.UINT8 if choice.input_dtype == "uint8" else onnx.TensorProto.FLOAT)
    assert bool(given.shape.dim[0].dim_param) is choice.dynamic_batch
    preprocess = json.loads(_metadata(outcome.path)["preprocess"])
    assert preprocess["range"] == [0, 255 if choice.layout == "native" else 1]
    assert (preprocess["resize"], preprocess["pad_value"]) == ("stretch", 114)
    # The finished detector of each form finds the same in a picture as the native one of the same size would.
    found = open_artefact(outcome.path, threads=1).detect(pictures(1, size_hw=(130, 77))[0])
    assert len(found) > 10
    assert found.boxes_xyxy[:, 2].max() <= 77
    assert found.boxes_xyxy[:, 3].max() <= 130


@pytest.mark.slow
@pytest.mark.parametrize("decay", ["linear", "gaussian"])
def test_matrix_nms_inside_the_file_is_that_on_arrays(decay: Literal["linear", "gaussian"]) -> None:
    rule = PostprocessRule(score=0.01, max_detections=60, suppression=MatrixNms(decay=decay))
    choice = ExportChoice(picture=PictureRule(size_hw=(96, 64)), layout="nms")
    artefact = dataclasses.replace(artefact_of(tiny_network(), choice), postprocess=rule)
    file = trace_onnx(tiny_network(), artefact).SerializeToString()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for picture in pictures(3, size_hw=(96, 64)):
        images = picture.transpose(2, 0, 1)[None].astype(np.float32)
        with torch.inference_mode():
            boxes, scores = (part[0].numpy() for part in decode(tiny_network()(torch.from_numpy(images))))
        expected, lowered, labels = postprocess(
            boxes, scores, to_original=lambda moved: moved.astype(np.float32), rule=rule
        )
        (found,) = session.run(None, {"images": images / 255})
        assert found.shape == (1, 60, 6)
        assert len(expected) == 60
        np.testing.assert_allclose(found[0, :, :4], expected, atol=1e-3)
        np.testing.assert_allclose(found[0, :, 4], lowered, atol=1e-5)
        np.testing.assert_array_equal(found[0, :, 5], labels)
