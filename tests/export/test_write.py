"""Whole or not at all."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from sanderling.errors import ExportError, ModelError, UsageError
from sanderling.export import write
from sanderling.export.write import ExportChoice, export_onnx
from sanderling.models.backbones.repvgg import RepVggConfig
from sanderling.models.network import DetectorNetwork
from sanderling.structures.artefact import Artefact, PictureRule, sidecar_path
from tests.support.artefacts import TINY_HW, pictures, tiny_artefact, tiny_network

_CHOICE = ExportChoice(picture=PictureRule(size_hw=TINY_HW))

Tracer = Callable[[DetectorNetwork, Artefact], onnx.ModelProto]


def _traced(_network: DetectorNetwork, _artefact: Artefact) -> onnx.ModelProto:
    """The tiny network as it was traced before: tracing it again takes seconds."""
    return onnx.load(tiny_artefact())


def _traced_wrongly(network: DetectorNetwork, artefact: Artefact) -> onnx.ModelProto:
    model = _traced(network, artefact)
    weight = next(value for value in model.graph.initializer if len(value.dims) == 4)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.01), weight.name))
    return model


@pytest.fixture(autouse=True)
def _traced_before() -> None:
    """Made while `trace_onnx` is still itself, whichever test comes first."""
    tiny_artefact()


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "trace_onnx", _traced)


@pytest.mark.usefixtures("_quick")
def test_the_artefact_and_its_sidecar_are_all_that_is_written(tmp_path: Path) -> None:
    outcome = export_onnx(tiny_network(), tmp_path / "new" / "tiny.onnx", _CHOICE, pictures=pictures(2))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["tiny.onnx", "tiny.onnx.json"]
    assert outcome.sidecar == sidecar_path(outcome.path)
    assert outcome.megabytes == pytest.approx(outcome.path.stat().st_size / 1e6, abs=1e-3)
    sidecar = json.loads(outcome.sidecar.read_text())
    assert sidecar["parity"]["pictures"] == 2
    assert sidecar["parity"]["max_box_difference_px"] == outcome.parity.max_box_difference_px <= 0.05
    assert (sidecar["picture"]["size_hw"], sidecar["layout"]) == (list(TINY_HW), "native")


def test_an_artefact_that_disagrees_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(write, "trace_onnx", _traced_wrongly)
    with pytest.raises(ExportError, match=r"differ by up to .* from the model on 2 pictures") as caught:
        export_onnx(tiny_network(), tmp_path / "a" / "b" / "tiny.onnx", _CHOICE, pictures=pictures(2))
    assert caught.value.exit_code == 5
    assert not list(tmp_path.iterdir())


def test_an_older_artefact_stays_where_the_new_one_disagrees(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(b"older")
    sidecar_path(tmp_path / "tiny.onnx").write_text("older too")
    monkeypatch.setattr(write, "trace_onnx", _traced_wrongly)
    with pytest.raises(ExportError):
        export_onnx(tiny_network(), tmp_path / "tiny.onnx", _CHOICE, pictures=pictures(2))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "tiny.onnx": "older",
        "tiny.onnx.json": "older too",
    }


def test_a_size_off_the_stride_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"input size 60x96 .* no multiple of the stride"):
        export_onnx(
            tiny_network(),
            tmp_path / "tiny.onnx",
            ExportChoice(picture=PictureRule(size_hw=(60, 96))),
            pictures=pictures(1),
        )


def test_a_comparison_needs_pictures(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no pictures to compare"):
        export_onnx(tiny_network(), tmp_path / "tiny.onnx", _CHOICE, pictures=[])


def test_choices_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(UsageError, match="use layout native for uint8"):
        ExportChoice(picture=PictureRule(), layout="yolo", input_dtype="uint8")
    with pytest.raises(UsageError, match="use layout native or yolo"):
        ExportChoice(picture=PictureRule(), layout="nms", dynamic_batch=True)


def test_what_is_written_is_merged_and_agrees_with_the_network_before(tmp_path: Path) -> None:
    backbone = RepVggConfig(stem=8, channels=(8, 12, 16, 20), blocks=(1, 2, 1, 1))
    torch.manual_seed(0)
    network = dataclasses.replace(tiny_network().config, backbone=backbone).build()
    outcome = export_onnx(network, tmp_path / "a.onnx", _CHOICE, pictures=pictures(2))
    weights = [node.input[1] for node in onnx.load(outcome.path).graph.node if node.op_type == "Conv"]
    assert sum(name.endswith("rbr_reparam.weight") for name in weights) == 6
    assert not any("rbr_dense" in name or "rbr_1x1" in name for name in weights)
