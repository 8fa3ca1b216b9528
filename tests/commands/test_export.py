"""`export`, from a weights file or run folder to an artefact."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest

from sanderling.commands.export import export
from sanderling.errors import DataError, ExportError, ModelError, UsageError
from sanderling.export import write
from sanderling.models.network import DetectorNetwork
from sanderling.runtimes.open import open_artefact
from sanderling.structures.artefact import Artefact
from tests.support.artefacts import TINY_HW, pictures, tiny_artefact, tiny_weights, write_picture


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The tiny network as it was traced before, and a working folder of the test's own."""
    artefact = tiny_artefact()

    def traced(_network: DetectorNetwork, _artefact: Artefact) -> onnx.ModelProto:
        return onnx.load(artefact)

    monkeypatch.setattr(write, "trace_onnx", traced)
    monkeypatch.chdir(tmp_path)


def test_a_weights_file_becomes_an_artefact_of_its_name(tmp_path: Path) -> None:
    outcome = export(tiny_weights(), output=tmp_path / "out", threads=1)
    assert outcome.path == tmp_path / "out" / "tiny.onnx"
    # Without pictures of the user's: eight rendered scenes.
    assert outcome.parity.pictures == 8
    assert open_artefact(outcome.path, threads=1).picture.size_hw == TINY_HW


def test_without_an_output_the_folder_is_numbered() -> None:
    for folder in ("runs/export/tiny", "runs/export/tiny2"):
        assert export(tiny_weights(), pictures=pictures(1)).path == Path(folder, "tiny.onnx")


def test_an_output_that_is_a_file_is_that_file() -> None:
    assert export(tiny_weights(), output="a/b.onnx", pictures=pictures(1)).path == Path("a/b.onnx")


def test_a_run_folder_gives_its_name() -> None:
    Path("run7/weights").mkdir(parents=True)
    shutil.copy(tiny_weights(), "run7/weights/best.safetensors")
    assert export("run7", output="out", pictures=pictures(1)).path == Path("out/run7.onnx")


def test_pictures_come_from_a_folder_and_the_unreadable_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(40):
        write_picture(Path(f"shots/{number}.png"))
    Path("shots/39.png").write_bytes(b"")
    assert export(tiny_weights(), output="out", pictures="shots").parity.pictures == 32
    for number in range(35):
        Path(f"shots/{number}.png").unlink()
    assert export(tiny_weights(), output="out", pictures="shots/*.png").parity.pictures == 4
    assert "39.png: has zero bytes" in caplog.text


def test_pictures_of_which_none_can_be_read_are_an_error() -> None:
    Path("shots").mkdir()
    Path("shots/a.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"nothing to compare the artefact on; the first reason: shots/a\.jpg"):
        export(tiny_weights(), output="out", pictures="shots")
    with pytest.raises(DataError, match="no such file"):
        export(tiny_weights(), output="out", pictures="absent")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"target": "onxx"}, "target = 'onxx' is not known; did you mean 'onnx'"),
        ({"layout": "yollo"}, "layout = 'yollo' is not known; did you mean 'yolo'"),
        ({"input_dtype": "float16"}, "input_dtype = 'float16' is not known; did you mean 'float32'"),
        ({"threads": 0}, "threads = 0: at least 1"),
        ({"imgsz": (0, 64)}, r"imgsz = \[0, 64\]"),
        ({"resize": "squash"}, "resize = 'squash': letterbox or stretch is expected"),
        ({"layout": "nms", "dynamic": True}, "suppression inside the graph is for one picture"),
    ],
)
def test_wrong_use_is_told_before_anything_is_made(chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        export(tiny_weights(), **chosen)
    assert not list(Path.cwd().iterdir())


def test_an_artefact_is_no_model_to_export() -> None:
    with pytest.raises(ModelError, match="is an exported artefact; the weights that it was made from are needed"):
        export(tiny_artefact())


def test_an_export_that_disagrees_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(_network: DetectorNetwork, _artefact: Artefact) -> onnx.ModelProto:
        model = onnx.load(tiny_artefact())
        weight = next(value for value in model.graph.initializer if len(value.dims) == 4)
        weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * 2, weight.name))
        return model

    monkeypatch.setattr(write, "trace_onnx", other)
    with pytest.raises(ExportError) as caught:
        export(tiny_weights(), pictures=pictures(1))
    assert caught.value.exit_code == 5
    assert not list(Path("runs/export").iterdir())
