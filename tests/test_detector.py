from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from sanderling import Detections, Detector
from sanderling.commands import export as export_command
from sanderling.commands import open_detector as opening
from sanderling.commands import train as train_command
from sanderling.commands import val as val_command
from sanderling.errors import DataError, ModelError, UsageError
from sanderling.models import zoo
from sanderling.models.weights.safetensors_file import save_network
from tests.support.command_line import CommandLine
from tests.support.results import EXPORTED, REPORT, TRAINED

CLASSES = ("fire", "smoke", "crane")
LOW = 0.001


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    save_network(zoo.config("nanodet-debug", CLASSES).with_picture(size_hw=(64, 96)).build(), path)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder where everything that is written by default would be seen."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (45, 70, 3), np.uint8)


def _same(first: Detections, second: Detections) -> bool:
    return bool(np.array_equal(first.boxes_xyxy, second.boxes_xyxy) and np.array_equal(first.labels, second.labels))


def test_every_kind_of_picture_gives_the_same_detections(
    weights: Path, picture: NDArray[np.uint8], elsewhere: Path
) -> None:
    detector = Detector(weights)
    file = elsewhere / "a.png"
    Image.fromarray(picture).save(file)
    from_array = detector.predict(picture, conf=LOW)
    assert len(from_array) == 1
    assert len(from_array[0]) > 0
    assert from_array[0].size_hw == (45, 70)
    for source in (file, str(file), Image.fromarray(picture), file.read_bytes(), [picture], (picture,)):
        found = detector.predict(source, conf=LOW)
        assert len(found) == 1
        assert _same(found[0], from_array[0])
    assert list(elsewhere.iterdir()) == [file], "nothing is written unless asked"


def test_results_keep_the_order_of_a_list(weights: Path, picture: NDArray[np.uint8], elsewhere: Path) -> None:
    for name in ("b.png", "a.png"):
        Image.fromarray(picture[:, : 60 if name == "a.png" else 70]).save(elsewhere / name)
    found = Detector(weights).predict([elsewhere / "b.png", picture[:30], elsewhere / "a.png"], conf=LOW)
    assert [detections.size_hw for detections in found] == [(45, 70), (30, 70), (45, 60)]
    assert [Path(detections.source).name for detections in found][::2] == ["b.png", "a.png"]


def test_a_stream_reads_as_it_runs(weights: Path, picture: NDArray[np.uint8], elsewhere: Path) -> None:
    (elsewhere / "broken.png").write_bytes(b"no picture")
    found = Detector(weights).predict([picture, elsewhere / "broken.png"], stream=True, conf=LOW)
    assert isinstance(found, Iterator)
    assert next(found).size_hw == (45, 70)
    assert list(found) == []


def test_results_are_written_when_asked_for(weights: Path, picture: NDArray[np.uint8], elsewhere: Path) -> None:
    detector = Detector(weights)
    detector.predict(picture, save=True)
    detector.predict(picture, output=elsewhere / "named")
    for folder in (elsewhere / "runs" / "predict" / "untrained", elsewhere / "named"):
        assert (folder / "predictions.json").exists()


def test_the_opened_model_is_kept_while_settings_stay(
    weights: Path, picture: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[dict[str, Any]] = []
    original = opening.open_detector

    def counting(*model: Any, **settings: Any) -> Any:
        opened.append(settings)
        return original(*model, **settings)

    monkeypatch.setattr(opening, "open_detector", counting)
    detector = Detector(weights)
    for _ in range(3):
        detector.predict(picture, imgsz=[64, 96])
    assert len(opened) == 1
    detector.predict(picture, imgsz=[64, 96], conf=0.3)
    detector.predict(picture, imgsz=[96, 64], conf=0.3)
    assert len(opened) == 3


def test_only_wanted_classes_are_given(weights: Path, picture: NDArray[np.uint8]) -> None:
    detector = Detector(weights)
    everything = detector.predict(picture, conf=LOW)[0]
    some = detector.predict(picture, conf=LOW, classes=["smoke", 2])[0]
    assert _same(some, everything.select(everything.labels >= 1))
    with pytest.raises(UsageError, match="did you mean 'smoke'"):
        detector.predict(picture, classes=["smoek"])


def test_what_cannot_be_used_is_an_error(weights: Path, elsewhere: Path) -> None:
    (elsewhere / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="not a single picture"):
        Detector(weights).predict("broken.png")
    with pytest.raises(ModelError, match="names of the zoo carry no weights"):
        Detector("nanodet-debug").predict("broken.png")


@pytest.mark.parametrize("by_name", [True, False])
def test_training_starts_from_what_the_detector_has_and_gives_it_the_best_weights(
    command_line: CommandLine, weights: Path, picture: NDArray[np.uint8], by_name: bool
) -> None:
    train = command_line.stand_in("train", "train", TRAINED)
    detector = Detector("nanodet-debug" if by_name else weights)
    if not by_name:
        detector.predict(picture)
    assert detector.train(data="birds", epochs=3, assignments=["ema=null"]) is TRAINED
    assert train.called_with["run"] == "nanodet-debug"
    assert train.called_with["weights"] == (None if by_name else weights)
    assert (train.called_with["epochs"], train.called_with["assignments"]) == (3, ["ema=null"])
    assert detector.model == TRAINED.folder
    with pytest.raises(ModelError, match="birds"):
        detector.predict(picture)


def test_a_run_that_stopped_goes_on(command_line: CommandLine) -> None:
    train = command_line.stand_in("train", "train", TRAINED)
    assert Detector(Path("runs/train/birds")).train(resume=True) is TRAINED
    assert (train.called_with["run"], train.called_with["resume"]) == ("runs/train/birds", True)
    assert train.called_with["data"] is None
    assert train.called_with["weights"] is None


def test_val_and_export_are_the_commands(command_line: CommandLine) -> None:
    val = command_line.stand_in("val", "val", REPORT)
    export = command_line.stand_in("export", "export", EXPORTED)
    detector = Detector("m.onnx")
    assert detector.val(data="birds", split="test", conf=0.1, imgsz=(64, 96)) is REPORT
    assert val.called_with["model"] == "m.onnx"
    assert (val.called_with["data"], val.called_with["split"], val.called_with["conf"]) == ("birds", "test", 0.1)
    assert val.called_with["imgsz"] == (64, 96)
    assert detector.export(output="out", layout="yolo", dynamic=True) is EXPORTED
    assert (export.called_with["output"], export.called_with["layout"]) == ("out", "yolo")
    assert export.called_with["dynamic"] is True


@pytest.mark.parametrize(
    ("method", "command", "left_out"),
    [
        (Detector.train, train_command.train, {"run"}),
        (Detector.val, val_command.val, {"model", "limit"}),
        (Detector.export, export_command.export, {"model"}),
    ],
)
def test_methods_have_the_parameters_of_their_commands(
    method: Callable[..., Any], command: Callable[..., Any], left_out: set[str]
) -> None:
    def defaults(function: Callable[..., Any]) -> dict[str, Any]:
        return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}

    ours = {name: default for name, default in defaults(method).items() if name != "self"}
    theirs = {name: default for name, default in defaults(command).items() if name not in left_out}
    assert ours == theirs
