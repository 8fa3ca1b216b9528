from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sanderling.benchmark.result import Timing
from sanderling.commands import ablate as ablate_module
from sanderling.commands import bench as bench_module
from sanderling.commands import export as export_module
from sanderling.commands import report as report_module
from sanderling.commands import train as train_module
from sanderling.commands.ablate import AblationOutcome, ablate, list_switches, work
from sanderling.errors import DataError, ExportError, ModelError, RunError, UsageError
from sanderling.models.weights.safetensors_file import load_network
from sanderling.recipes.run import read_run
from sanderling.studies import ablation_report
from sanderling.studies.machines import Job, Trained
from tests.support.fake_ray import FakeRay
from tests.support.results import BENCHED, EXPORTED
from tests.support.training import DEBUG_RUN, tiny_scenes

SWITCHES = ("optimizer.lr=0.002", "class-agnostic")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_scenes(tmp_path_factory.mktemp("data"), train=4, val=2)


@pytest.fixture(autouse=True)
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing plots takes longer than the trainings here."""
    monkeypatch.setattr(report_module, "write_run_report", lambda folder, **_: folder)
    monkeypatch.setattr(ablation_report, "spread_chart", lambda path, **_: path.write_bytes(b"\x89PNG" + bytes(20)))


def _ablate(scenes: Path, output: Path | None, *switches: str, **options: Any) -> AblationOutcome:
    return ablate(
        options.pop("run", "nanodet-debug"),
        data=scenes,
        switches=switches or SWITCHES,
        seeds=options.pop("seeds", 1),
        epochs=options.pop("epochs", 1),
        batch=4,
        imgsz=(64, 96),
        assignments=(*DEBUG_RUN, *options.pop("assignments", ())),
        latency=options.pop("latency", False),
        output=output,
        **options,
    )


def _stand_in(monkeypatch: pytest.MonkeyPatch, **aps: float) -> list[Job]:
    """Instead of training: the AP of a step's folder, or a failure where none is given."""
    jobs: list[Job] = []

    def worked(job: Job) -> Trained:
        jobs.append(job)
        step = job.folder.name.rpartition("-seed")[0]
        if step not in aps:
            raise RunError(f"{step} diverged")
        return Trained(metrics={"AP": aps[step], "AP50": None}, epoch_s=(1.0,) * job.run.loop.epochs)

    monkeypatch.setattr(ablate_module, "work", worked)
    return jobs


def test_a_small_study_from_pictures_to_table(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _ablate(scenes, tmp_path / "study")
    folder = found.folder
    assert found.failed == ()
    assert {file.name for file in folder.iterdir() if file.is_file()} >= {
        *(f"ablation.{kind}" for kind in ("json", "md", "csv", "png", "html")),
        *(f"{step}-seed0.json" for step in ("baseline", "optimizer.lr=0.002", "class-agnostic")),
    }
    assert [row["weights_of"] for row in found.plain["rows"]] == [
        "baseline",
        "optimizer.lr=0.002",
        "optimizer.lr=0.002",
    ]
    assert [row["runs"] for row in found.plain["rows"]] == [1, 1, 1]
    assert json.loads((folder / "ablation.json").read_text()) == json.loads(json.dumps(found.plain))

    # The post-processing step is a run folder of its own, with the weights of the step below it.
    decoded = load_network(folder / "class-agnostic-seed0" / "weights" / "best.safetensors")
    trained = load_network(folder / "optimizer.lr=0.002-seed0" / "weights" / "best.safetensors")
    assert decoded.config.postprocess.class_agnostic
    assert not trained.config.postprocess.class_agnostic
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, decoded.state_dict()[name])
    assert read_run(folder / "class-agnostic-seed0" / "run.yaml").model == decoded.config

    # Started again, nothing is trained; another value is refused.
    monkeypatch.setattr(train_module, "train", lambda *_, **__: pytest.fail("trained again"))
    assert _ablate(scenes, folder).plain == found.plain
    with pytest.raises(UsageError, match=r"is of another run: warmup.steps is 100 there and 3 is asked for"):
        _ablate(scenes, folder, assignments=["warmup.steps=3"])


def test_a_training_that_was_stopped_is_resumed(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = _stand_in(monkeypatch, baseline=0.25)
    _ablate(scenes, tmp_path / "plan", "no-flip", epochs=2)
    job = dataclasses.replace(jobs[0], folder=tmp_path / "whole-seed0")
    whole = work(job)
    assert len(whole.epoch_s) == 2
    # Finished and killed before its result was written: it goes on with nothing left to do.
    called: list[dict[str, Any]] = []
    real = train_module.train

    def noted(*words: Any, **named: Any) -> Any:
        called.append(named)
        return real(*words, **named)

    monkeypatch.setattr(train_module, "train", noted)
    again = work(job)
    assert again == whole
    assert [named.get("resume", False) for named in called] == [True]
    # Another run does not go on with it, and neither does one whose record is damaged.
    monkeypatch.setattr(train_module, "train", lambda *_, **named: pytest.fail(f"{named}"))
    for change in ("seed: 9", "sead: 0"):
        recorded = (job.folder / "run.yaml").read_text()
        (job.folder / "run.yaml").write_text(recorded.replace("seed: 0", change))
        with pytest.raises(pytest.fail.Exception, match="'overwrite': True"):
            work(job)
        (job.folder / "run.yaml").write_text(recorded)


def test_failed_runs_are_in_the_table(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, baseline=0.25)
    found = _ablate(scenes, tmp_path / "study", "no-flip", "augment.hue=0.1", seeds=2, mode="single")
    assert found.failed == tuple(
        f"{step}: {step} diverged" for step in ("no-flip", "augment.hue=0.1") for _ in range(2)
    )
    assert [row["runs"] for row in found.plain["rows"]] == [2, 0, 0]
    assert "no-flip diverged" in (tmp_path / "study" / "ablation.md").read_text()


def test_the_published_ladder_is_one_word(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "distilled.safetensors"
    file.touch()
    letters = "BCDEFGHI"
    jobs = _stand_in(monkeypatch)
    found = ablate(
        data=scenes,
        ladder="ppyolo",
        switches=[f"weights={file}", "double-schedule"],
        seeds=1,
        minutes=None,
        latency=False,
        output=tmp_path / "study",
    )
    rows = found.plain["rows"]
    assert [row["letter"] for row in rows] == ["A", *letters, "J", "K"]
    assert [round(100 * row["published_delta"], 1) for row in rows[1:]] == [
        0.2,
        2.3,
        0.5,
        0.6,
        0.3,
        0.7,
        0.5,
        0.3,
        0.5,
        0.5,
    ]
    # Matrix NMS is not trained.
    assert len(jobs) == 10
    assert jobs[-1].run.loop.epochs == 2 * jobs[0].run.loop.epochs
    assert jobs[-1].run.weights == str(file)
    assert jobs[0].run.model.class_names == jobs[-1].run.model.class_names != ()


def test_networks_are_measured_in_one_go_and_equal_ones_once(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(monkeypatch, baseline=0.25, **{"no-flip": 0.5, "class-agnostic": 0.3, "one-class": 0.3})
    exported: list[Path] = []

    def export(model: Path, *, output: Path, threads: int) -> Any:
        if "one-class" in model.name:
            raise ExportError("does not agree with its model")
        exported.append(output)
        return dataclasses.replace(EXPORTED, path=output)

    def bench(artefacts: list[Path], **_: Any) -> Any:
        return [
            dataclasses.replace(
                BENCHED, timings={"network": Timing.of([at], [at]), "end_to_end": Timing.of([2 * at], [at])}
            )
            for at in range(1, len(artefacts) + 1)
        ]

    monkeypatch.setattr(export_module, "export", export)
    monkeypatch.setattr(bench_module, "bench", bench)
    found = _ablate(scenes, tmp_path / "study", "no-flip", "class-agnostic", "one-class", latency=True)
    assert [path.name for path in exported] == ["baseline.onnx", "class-agnostic.onnx"]
    latencies = [row["latency"] for row in found.plain["rows"]]
    assert latencies[0] == latencies[1] == {"network_ms": 1000.0, "end_to_end_ms": 2000.0}
    assert latencies[2] == {"network_ms": 2000.0, "end_to_end_ms": 4000.0}
    assert latencies[3] is None


def test_through_ray_each_training_is_a_task_of_one_processor(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray.module())
    _stand_in(monkeypatch, baseline=0.25, **{"no-flip": 0.5, "one-class": 0.75})
    found = ablate(
        "nanodet-debug",
        data=scenes,
        switches=["no-flip", "one-class"],
        seeds=2,
        ray=True,
        latency=False,
        output=tmp_path / "study",
    )
    assert [row["ap"]["mean"] for row in found.plain["rows"]] == [0.25, 0.5, 0.75]
    assert len(ray.tasks) == 6
    assert ray.asked == [{"num_cpus": 1, "num_gpus": 0, "max_retries": 0}] * 2
    assert (found.plain["baseline"]["runtime"]["threads"], found.plain["baseline"]["runtime"]["workers"]) == (1, 0)


@pytest.mark.parametrize(
    ("options", "kind", "complaint"),
    [
        ({"minutes": 1.0}, UsageError, "epochs = 1 and minutes = 1: give one of the two"),
        ({"minutes": 0.0, "epochs": None}, UsageError, "minutes = 0: more than 0"),
        ({"run": None}, UsageError, "no RUN is named"),
        ({"run": "nanodet-debg"}, UsageError, "did you mean 'nanodet-debug'"),
        ({"ladder": "ppyol"}, UsageError, "did you mean 'ppyolo'"),
        ({"assignments": ["data.val=null"]}, UsageError, "data.val is null"),
        ({"assignments": ["data.val=tset"]}, UsageError, "tset"),
    ],
)
def test_wrong_use_is_told_before_anything_is_made(
    scenes: Path, tmp_path: Path, options: dict[str, Any], kind: type[Exception], complaint: str
) -> None:
    with pytest.raises(kind, match=complaint):
        _ablate(scenes, tmp_path / "study", **options)
    assert not (tmp_path / "study").exists()


def test_data_and_networks_are_looked_at_first(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent"):
        _ablate(tmp_path / "absent", tmp_path / "study")
    with pytest.raises(ModelError, match="no multiple of the stride"):
        _ablate(scenes, tmp_path / "study", "model.picture.size_hw=[65, 96]")
    assert not (tmp_path / "study").exists()


def test_a_folder_of_something_else_is_refused(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch)
    (tmp_path / "letter.txt").touch()
    with pytest.raises(UsageError, match="holds files already"):
        _ablate(scenes, tmp_path, "no-flip")


def test_switches_are_listed() -> None:
    assert {"name": "spp", "help": "pyramid pooling (SPP) in the neck"} in list_switches()
