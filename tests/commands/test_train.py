from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sanderling import config
from sanderling.commands import report as report_module
from sanderling.commands import train_display, validate
from sanderling.commands.train import TrainOutcome, train
from sanderling.errors import DataError, MissingDependencyError, RunError, UsageError
from sanderling.models.weights.safetensors_file import load_network, read_metadata
from sanderling.recipes.run import read_run
from sanderling.training import checkpoint, run_folder, trackers
from tests.support.training import DEBUG_RUN, Watcher, tiny_scenes

_FILES = {"run.yaml", "metrics.jsonl", "results.csv", "report.json", "weights/best.safetensors", "weights/last.ckpt"}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_scenes(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def no_page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing the report's plots takes longer than the trainings here."""
    if "real_page" not in request.fixturenames:
        for name in ("write_run_report", "write_history_report"):
            monkeypatch.setattr(report_module, name, lambda folder, **_: folder)


@pytest.fixture
def real_page() -> None:
    """The report is written."""


def _train(data: Path | None, output: Path, *assignments: str, epochs: int | None = 2, **options: Any) -> TrainOutcome:
    return train(
        options.pop("run", "nanodet-debug"),
        data=data,
        output=output,
        epochs=epochs,
        batch=options.pop("batch", 4),
        imgsz=options.pop("imgsz", (64, 96)),
        # Most of the time goes into writing the state of every layer, epoch by epoch.
        assignments=(*DEBUG_RUN, "model.backbone.units=[1, 1, 1]", "warmup.steps=2", *assignments),
        **options,
    )


def _files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def _history(folder: Path) -> list[dict[str, Any]]:
    """Epochs without what depends on the clock."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in record.items() if key not in ("time_s", "pictures_per_s")} for record in records
    ]


def _tensors(state: Any, key: str = "") -> dict[str, Any]:
    if isinstance(state, dict):
        return {name: leaf for inner in state for name, leaf in _tensors(state[inner], f"{key}.{inner}").items()}
    if isinstance(state, list):
        return {name: leaf for at, inner in enumerate(state) for name, leaf in _tensors(inner, f"{key}.{at}").items()}
    return {} if key == ".progress" else {key: state}


def _assert_same_run(first: Path, second: Path) -> None:
    assert _history(first) == _history(second)
    assert (first / "weights/best.safetensors").read_bytes() == (second / "weights/best.safetensors").read_bytes()
    left, right = (_tensors(torch.load(folder / "weights/last.ckpt", weights_only=True)) for folder in (first, second))
    assert left.keys() == right.keys()
    assert sum(torch.is_tensor(value) for value in left.values()) > 300
    for name, value in left.items():
        same = torch.equal(value, right[name]) if torch.is_tensor(value) else value == right[name]
        assert same, name


@pytest.fixture(scope="module")
def reference(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of two epochs, the first with mosaics."""
    folder = tmp_path_factory.mktemp("runs") / "reference"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_module, "write_run_report", lambda folder, **_: folder)
        _train(scenes, folder)
    return folder


@pytest.mark.usefixtures("real_page")
def test_a_run_leaves_all_its_files(scenes: Path, tmp_path: Path) -> None:
    outcome = _train(scenes, tmp_path / "run", "trackers=[tensorboard]")
    folder = tmp_path / "run"
    files = _files(folder)
    assert files >= _FILES | {"report.html", "plots/losses.png"}
    assert sum(name.startswith("events.out.tfevents") for name in files) == 1
    assert not any(name.endswith(".partial") for name in files)
    assert (outcome.folder, outcome.weights, outcome.epochs) == (folder, folder / "weights/best.safetensors", 2)
    assert outcome.report is not None
    assert outcome.report.to_plain()["AP"] == json.loads((folder / "report.json").read_text())["AP"]
    assert outcome.unreadable == {}
    json.dumps(outcome.to_plain(), allow_nan=False)
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2]
    assert set(records[0]["losses"]) == {"class", "box", "distribution", "total"}
    assert records[1]["metrics"].keys() >= {"AP", "AP50", "AP75", "AR_100"}
    network = load_network(folder / "weights/best.safetensors")
    assert network.config.class_names == ("fire", "smoke", "crane", "kite")
    assert network.config.picture.size_hw == (64, 96)
    assert json.loads(read_metadata(folder / "weights/best.safetensors")["epoch"]) == outcome.best_epoch


def test_a_run_repeated_from_its_file_is_the_same(reference: Path, tmp_path: Path) -> None:
    again = train(reference / "run.yaml", output=tmp_path / "again")
    assert again.epochs == 2
    _assert_same_run(reference, tmp_path / "again")
    assert read_run(tmp_path / "again/run.yaml") == read_run(reference / "run.yaml")


def test_another_seed_is_another_run(scenes: Path, reference: Path, tmp_path: Path) -> None:
    # Of as many epochs, as the last one has no mosaics.
    _train(scenes, tmp_path / "other", seed=1)
    assert _history(tmp_path / "other")[0]["losses"] != _history(reference)[0]["losses"]


def test_the_number_of_workers_changes_nothing(scenes: Path, reference: Path, tmp_path: Path) -> None:
    _train(scenes, tmp_path / "worker", "runtime.workers=1")
    _assert_same_run(reference, tmp_path / "worker")


class _Interrupts(Watcher):
    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._epoch = epoch

    def epoch_started(self, epoch: int, *, epochs: int, batches: int) -> None:
        if epoch == self._epoch:
            raise KeyboardInterrupt


def _fails_at(call: int, original: Callable[..., None]) -> Callable[..., None]:
    calls: list[int] = []

    def wrapped(*given: Any) -> None:
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        original(*given)

    return wrapped


@pytest.mark.parametrize("moment", ["first epoch", "second epoch", "before a checkpoint", "after a checkpoint", "end"])
def test_a_resumed_run_is_bit_identical(
    scenes: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        if moment in ("first epoch", "second epoch"):
            interrupts = _Interrupts(1 if moment == "first epoch" else 2)
            patch.setattr(train_display, "train_display", lambda: interrupts)
        elif moment == "before a checkpoint":
            patch.setattr(checkpoint, "save_checkpoint", _fails_at(2, checkpoint.save_checkpoint))
        else:
            call = 1 if moment == "after a checkpoint" else 2
            original = run_folder.RunFolder.write_history
            patch.setattr(run_folder.RunFolder, "write_history", _fails_at(call, original))
        with pytest.raises(KeyboardInterrupt):
            _train(scenes, folder)
    if moment == "first epoch":
        assert not (folder / "weights/last.ckpt").exists()
    outcome = train(folder, resume=True)
    assert outcome.epochs == 2
    _assert_same_run(reference, folder)


def test_a_finished_run_can_be_resumed_and_stays(reference: Path, tmp_path: Path) -> None:
    shutil.copytree(reference, tmp_path / "run")
    assert train("nanodet-debug", output=tmp_path / "run", resume=True).epochs == 2
    _assert_same_run(reference, tmp_path / "run")


def test_resume_takes_no_other_settings(reference: Path) -> None:
    with pytest.raises(UsageError, match="epochs is 2 there and 5 is asked for"):
        train(reference, resume=True, epochs=5)


def test_an_existing_folder_is_kept_unless_told(scenes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "plots").mkdir(parents=True)
    old = [
        folder / "report.html",
        folder / "plots/losses.png",
        folder / "events.out.tfevents.1",
        folder / "report.json",
    ]
    for file in (*old, folder / "notes.txt"):
        file.write_text("old")
    with pytest.raises(UsageError, match="holds files already"):
        _train(scenes, folder)
    assert all(file.exists() for file in old)
    _train(scenes, folder, "data.val=null", epochs=1, overwrite=True)
    assert _files(folder) == (_FILES - {"report.json"}) | {"notes.txt"}
    with pytest.raises(UsageError, match="replace them: --overwrite, or go on with the run in it: --resume"):
        _train(scenes, folder)


def test_without_output_runs_are_numbered(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/train/nanodet-debug").mkdir(parents=True)
    folders = [
        train(
            "nanodet-debug",
            data=scenes,
            epochs=1,
            batch=8,
            imgsz=64,
            name=name,
            assignments=(*DEBUG_RUN, "data.val=null"),
        ).folder
        for name in (None, "night")
    ]
    assert [str(folder) for folder in folders] == ["runs/train/nanodet-debug2", "runs/train/night"]


def test_without_validation_the_last_weights_are_the_best(scenes: Path, tmp_path: Path) -> None:
    outcome = _train(scenes, tmp_path / "run", "data.val=null", "ema=null")
    assert (outcome.report, outcome.best_epoch) == (None, 0)
    assert [record["metrics"] for record in _history(tmp_path / "run")] == [None, None]
    kept = load_network(outcome.weights).state_dict()
    last = torch.load(tmp_path / "run/weights/last.ckpt", weights_only=True)["task"]
    assert all(torch.equal(tensor, last[f"network.{name}"]) for name, tensor in kept.items())


def test_a_missing_validation_split_is_named(scenes: Path, tmp_path: Path) -> None:
    data = tmp_path / "scenes"
    shutil.copytree(scenes, data)
    (data / "annotations/instances_val.json").unlink()
    with pytest.raises(UsageError, match=r"no split 'val'; there are: train; .*data\.val=NAME.*data\.val=null"):
        _train(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_no_data_and_nothing_to_learn_from(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no data set; name one with --data PATH"):
        _train(None, tmp_path / "run")
    data = tmp_path / "scenes"
    shutil.copytree(scenes, data)
    _edit(data, lambda document: document["annotations"].clear())
    with pytest.raises(DataError, match="has 10 pictures and 0 boxes; there is nothing to learn from"):
        _train(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_validation_that_can_tell_no_best_epoch_is_refused(scenes: Path, tmp_path: Path) -> None:
    data = tmp_path / "scenes"
    shutil.copytree(scenes, data)
    _edit(data, lambda document: document["annotations"].clear(), split="val")
    with pytest.raises(DataError, match=r"'val' has 3 pictures and 0 boxes; .*data\.val=NAME.*data\.val=null"):
        _train(data, tmp_path / "run")
    with pytest.raises(UsageError, match=r"loop\.patience = 3: without validation nobody knows"):
        _train(data, tmp_path / "run", "data.val=null", patience=3)
    assert not (tmp_path / "run").exists()


def _edit(data: Path, change: Callable[[dict[str, Any]], object], *, split: str = "train") -> None:
    file = data / f"annotations/instances_{split}.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def test_unreadable_pictures_are_reported_and_counted(
    scenes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "scenes"
    shutil.copytree(scenes, data)
    broken = [data / "images/train/scene_00003.jpg", data / "images/val/scene_00002.jpg"]
    for file in broken:
        file.write_bytes(file.read_bytes()[:40])
    with caplog.at_level(logging.WARNING):
        outcome = _train(data, tmp_path / "run", epochs=1)
    assert set(outcome.unreadable) == {str(file) for file in broken}
    assert all(outcome.unreadable.values())
    assert outcome.to_plain()["unreadable"] == outcome.unreadable
    for file in broken:
        assert file.name in caplog.text


def test_faulty_labels_are_skipped_with_a_word(scenes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = tmp_path / "scenes"
    shutil.copytree(scenes, data)

    def spoil(document: dict[str, Any]) -> None:
        document["annotations"][0]["bbox"][2] = 0
        document["annotations"][1]["category_id"] = 99

    _edit(data, spoil)
    with caplog.at_level(logging.WARNING):
        _train(data, tmp_path / "run", epochs=1)
    said = [record.getMessage() for record in caplog.records if "skipped 2" in record.getMessage()]
    assert len(said) == 1
    assert "split train" in said[0]
    assert "instances_train.json" in said[0]


def test_fewer_pictures_than_a_batch_are_one_smaller_batch(scenes: Path, tmp_path: Path) -> None:
    _train(scenes, tmp_path / "run", batch=64, epochs=1)
    assert read_run(tmp_path / "run/run.yaml").batch == 64
    (record,) = _history(tmp_path / "run")
    assert record["losses"]["total"] > 0


def test_a_batch_that_processes_cannot_share(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sanderling.commands.train import _share_of

    assert _share_of(12, 3) == 4
    with pytest.raises(UsageError, match="batch = 4: does not divide by 3 processes; use 6"):
        _share_of(4, 3)


def test_a_missing_tracker_stops_before_anything_is_written(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda package: None)
    with pytest.raises(MissingDependencyError, match="pip install wandb") as caught:
        _train(scenes, tmp_path / "run", "trackers=[wandb]")
    assert caught.value.exit_code == 7
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")]
)
def test_out_of_memory_names_the_batch(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class _Full(Watcher):
        def epoch_started(self, epoch: int, *, epochs: int, batches: int) -> None:
            raise error

    monkeypatch.setattr(train_display, "train_display", _Full)
    with pytest.raises(RunError, match=r"out of memory at batch 4: .*for example 2"):
        _train(scenes, tmp_path / "run")


def test_a_diverged_run_stops_and_leaves_a_checkpoint_that_can_be_read(scenes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(RunError, match="the run diverged"):
        _train(scenes, folder, "optimizer.kind=sgd", "optimizer.lr=1e20", "warmup.steps=0", batch=2, epochs=6)
    state = torch.load(folder / "weights/last.ckpt", weights_only=True)
    assert state["format"] == 1
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        json.dumps(json.loads(line), allow_nan=False)


def test_weights_to_start_from_and_frozen_parts(scenes: Path, reference: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    shutil.copy(reference / "weights/best.safetensors", start)
    outcome = _train(scenes, tmp_path / "run", "ema=null", epochs=1, weights=start, freeze="backbone")
    before, after = load_network(start).state_dict(), load_network(outcome.weights).state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"neck", "head"}
    assert read_run(outcome.folder / "run.yaml").weights == str(start)
    # The checkpoint holds all weights, so that a run goes on without the file that it started from.
    start.unlink()
    assert train(outcome.folder, resume=True).epochs == 1


def test_a_run_that_stops_early_says_so(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(validate.Validator, "__call__", lambda self, network: {"AP": 0.0})
    with caplog.at_level(logging.INFO):
        assert _train(scenes, tmp_path / "run", epochs=9, patience=1).epochs == 2
    assert "stopped after epoch 2 of 9: no better AP since epoch 1" in caplog.text


@pytest.mark.slow
def test_two_processes_make_one_run(scenes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    settings = (*DEBUG_RUN, "runtime.sync_batchnorm=true", "warmup.steps=2")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    command += ["--rdzv-endpoint", "localhost:0", "-m", "sanderling", "train", "nanodet-debug", "--data", str(scenes)]
    command += ["--epochs", "2", "--batch", "4", "--imgsz", "64", "96", "-o", str(folder), "--json", "-"]
    command += [word for setting in settings for word in ("--set", setting)]
    ran = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert _files(folder) >= _FILES | {"report.html"}
    history = _history(folder)
    assert [record["epoch"] for record in history] == [1, 2]
    assert all(0 < record["losses"]["total"] < 100 for record in history)
    assert json.loads(ran.stdout)["epochs"] == 2


def test_outcome_is_plain(reference: Path) -> None:
    outcome = train(reference, resume=True)
    plain = outcome.to_plain()
    assert plain["folder"] == str(reference)
    assert plain["report"]["AP"] is not None
    assert dataclasses.asdict(outcome)["unreadable"] == plain["unreadable"] == {}
    assert config.plain(plain) == plain
