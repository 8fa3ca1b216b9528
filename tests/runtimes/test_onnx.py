"""The ONNX Runtime engine, on a graph of two nodes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from sanderling.errors import ModelError
from sanderling.runtimes.onnx import OnnxEngine
from sanderling.structures.artefact import Artefact, PictureRule, PostprocessRule

_ARTEFACT = Artefact(
    model="m",
    class_names=tuple("abcdef"),
    picture=PictureRule(size_hw=(4, 6)),
    postprocess=PostprocessRule(),
    output_names=("plus", "minus"),
    weights_sha256="ab12",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Outputs `plus` (twice the input) and `minus` (its negative), in the other order than the artefact names."""
    shape = [1, 3, 4, 6]
    graph = helper.make_graph(
        [helper.make_node("Neg", ["images"], ["minus"]), helper.make_node("Add", ["images", "images"], ["plus"])],
        "graph",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("minus", "plus")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {"task": "detect", "weights_sha256": "ab12"})
    onnx.save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_outputs_come_in_the_order_of_the_artefact(path: Path) -> None:
    engine = OnnxEngine(path, threads=1)
    engine.fit(_ARTEFACT)
    images = np.arange(72, dtype=np.float32).reshape(1, 3, 4, 6)
    plus, minus = engine.run(images)
    np.testing.assert_array_equal(plus, images * 2)
    np.testing.assert_array_equal(minus, -images)
    assert engine.metadata == {"task": "detect", "weights_sha256": "ab12"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_name": "data"}, r"input_name = data, the file has images"),
        ({"input_dtype": "uint8"}, r"input_dtype = uint8, the file has float32"),
        ({"picture": PictureRule(size_hw=(6, 4))}, r"picture\.size_hw = \[6, 4\], the file has \[4, 6\]"),
        ({"output_names": ("plus", "scores")}, r"names the output 'scores', the file has \['minus', 'plus'\]"),
        ({"weights_sha256": "cd34"}, r"weights_sha256 = cd34, the file has ab12"),
        ({"class_names": ("a", "b")}, r"names 2 classes, the file has 6"),
    ],
)
def test_a_sidecar_of_another_export_is_refused(path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        OnnxEngine(path, threads=1).fit(dataclasses.replace(_ARTEFACT, **changes))


def test_files_that_are_no_onnx_model_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such artefact"):
        OnnxEngine(tmp_path / "absent.onnx", threads=1)
    for content in (b"", b"not a model", path.read_bytes()[:40]):
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(content)
        with pytest.raises(ModelError, match=r"broken\.onnx: is no ONNX model that ONNX Runtime .* can run"):
            OnnxEngine(broken, threads=1)
