from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sanderling.analysis.cost import Cost, measure_cost
from sanderling.benchmark.result import Timing
from sanderling.commands import ablate as ablate_module
from sanderling.commands import bench as bench_module
from sanderling.commands import export as export_module
from sanderling.commands import report as report_module
from sanderling.commands import train as train_module
from sanderling.commands.ablate import AblationOutcome, ablate, list_switches, work
from sanderling.compression.backbone_file import save_backbone
from sanderling.errors import DataError, ExportError, ModelError, RunError, UsageError
from sanderling.models.weights.safetensors_file import load_network
from sanderling.recipes.named import named
from sanderling.recipes.run import Run, read_run
from sanderling.studies import ablation_report, summary
from sanderling.studies.machines import Job, Trained
from sanderling.studies.switches import apply_switches
from tests.support.fake_ray import FakeRay
from tests.support.results import BENCHED, EXPORTED
from tests.support.training import DEBUG_RUN, tiny_scenes

COST = Cost(size_hw=(64, 96), parameters=1000, macs=2_000_000, stages=())
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
    monkeypatch.setattr(summary, "costs_of", lambda ablation: [COST] * len(ablation.steps))
    return jobs


def test_a_small_study_from_pictures_to_table(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _ablate(scenes, tmp_path / "study")
    folder = tmp_path / "study"
    assert (found.folder, found.failed) == (folder, ())
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
    # Another run does not go on with it, nor one of other files or of another machine, nor does a damaged record count.
    monkeypatch.setattr(train_module, "train", lambda *_, **named: pytest.fail(f"{named}"))
    files = {file: file.read_bytes() for file in job.folder.rglob("*") if file.is_file()}
    others = [
        dataclasses.replace(job, run=dataclasses.replace(job.run, seed=9)),
        dataclasses.replace(job, run=_on_threads(job.run, 3)),
        dataclasses.replace(job, inputs={"train": "cd34"}),
        dataclasses.replace(job, anew=True),
    ]
    for other in others:
        with pytest.raises(pytest.fail.Exception, match="'overwrite': True"):
            work(other)
        # What was there is gone, and cannot be taken for the other's.
        assert not (job.folder / "weights" / "last.ckpt").exists()
        for file, content in files.items():
            file.write_bytes(content)
    # What is automatic was decided when it began.
    with pytest.raises(pytest.fail.Exception, match="'resume': True"):
        work(dataclasses.replace(job, run=_on_threads(job.run, None)))
    (job.folder / "run.yaml").write_text("sead: 0")
    with pytest.raises(pytest.fail.Exception, match="'overwrite': True"):
        work(job)


def _on_threads(run: Run, threads: int | None) -> Run:
    return dataclasses.replace(run, runtime=dataclasses.replace(run.runtime, threads=threads))


def test_a_study_that_was_stopped_while_it_was_timed_goes_on(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def worked(job: Job) -> Trained:
        if len(done) == 2:
            done.append("stopped")
            raise KeyboardInterrupt
        done.append(job.name)
        return Trained(metrics={"AP": 0.5}, epoch_s=(1.0,) * job.run.loop.epochs)

    monkeypatch.setattr(ablate_module, "work", worked)
    monkeypatch.setattr(summary, "costs_of", lambda ablation: [COST] * len(ablation.steps))
    with pytest.raises(KeyboardInterrupt):
        _ablate(scenes, tmp_path / "study", "no-flip", epochs=None, minutes=0.5)
    found = _ablate(scenes, tmp_path / "study", "no-flip", epochs=None, minutes=0.5)
    assert done[:3] == ["warming up", "timing baseline", "stopped"]
    assert done[3:] == ["warming up", "timing no-flip", "baseline, seed 0", "no-flip, seed 0"]
    # Of 30 s a twentieth is kept in reserve, and the rest are epochs of 1 s.
    assert [(row["epochs"], row["runs"]) for row in found.plain["rows"]] == [(28, 1), (28, 1)]
    assert found.plain["minutes"] == 0.5


def test_a_dry_run_writes_nothing(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = _stand_in(monkeypatch)
    found = _ablate(scenes, tmp_path / "study", seeds=2, epochs=None, minutes=3.0, dry_run=True)
    assert (found.folder, found.failed, jobs, list(tmp_path.iterdir())) == (None, (), [], [])
    assert (found.plain["trainings"], found.plain["minutes"]) == (4, 12.0)
    assert [step["weights_of"] for step in found.plain["steps"]] == [
        "baseline",
        "optimizer.lr=0.002",
        "optimizer.lr=0.002",
    ]


def test_failed_runs_are_in_the_table(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, baseline=0.25)
    found = _ablate(scenes, tmp_path / "study", "no-flip", "augment.hue=0.1", seeds=2, mode="single")
    assert found.failed == tuple(
        f"{step}: {step} diverged" for step in ("no-flip", "augment.hue=0.1") for _ in range(2)
    )
    assert [row["runs"] for row in found.plain["rows"]] == [2, 0, 0]
    assert "no-flip diverged" in (tmp_path / "study" / "ablation.md").read_text()


def _distilled(folder: Path) -> Path:
    """Weights of the ladder's second backbone, as `weights distill` writes them."""
    file = folder / "distilled.safetensors"
    run = apply_switches(named("ppyolo-small"), "resnet-dcn")
    save_backbone(run.model.build(), file, origin={})
    return file


def test_the_published_ladder_is_one_word(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _distilled(tmp_path)
    letters = "BCDEFGHI"
    jobs = _stand_in(monkeypatch)
    found = ablate(
        data=scenes,
        imgsz=64,
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
    assert found.plain["baseline_changes"] == ["model.picture.size_hw=[64, 64]"]
    assert jobs[-1].run.loop.epochs == 2 * jobs[0].run.loop.epochs
    assert measure_cost(jobs[-1].run.model).parameters > measure_cost(jobs[1].run.model).parameters
    assert jobs[-1].run.weights == str(file)
    assert jobs[0].run.model.class_names == jobs[-1].run.model.class_names != ()
    assert all(set(job.inputs) >= {"train", "val"} for job in jobs)
    assert [("weights" in job.inputs) for job in jobs] == 8 * [False] + 2 * [True]


def test_some_rows_of_the_ladder_have_all_switches_up_to_them(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _distilled(tmp_path)
    jobs = _stand_in(monkeypatch)
    found = ablate(
        data=scenes,
        ladder="ppyolo",
        rows=["A", "I", "K"],
        switches=[f"weights={file}", "double-schedule"],
        seeds=1,
        latency=False,
        output=tmp_path / "study",
    )
    rows = found.plain["rows"]
    assert [row["letter"] for row in rows] == ["A", "I", "K"]
    assert [round(100 * row["published_delta"], 1) for row in rows[1:]] == [5.4, 1.0]
    first, middle, last = (job.run for job in jobs)
    assert (first.model.neck.pyramid_pool, middle.model.neck.pyramid_pool) == (False, True)  # type: ignore[union-attr]
    assert (middle.weights, last.weights) == (None, str(file))
    assert (last.model, last.loop.epochs) == (middle.model, 2 * middle.loop.epochs)


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

    def failing(artefacts: list[Path], **_: Any) -> Any:
        raise ExportError("the engine does not start")

    monkeypatch.setattr(bench_module, "bench", failing)
    without = _ablate(scenes, tmp_path / "study", "no-flip", "class-agnostic", "one-class", latency=True)
    assert [row["latency"] for row in without.plain["rows"]] == [None] * 4
    assert "not measured" in (tmp_path / "study" / "ablation.html").read_text()

    monkeypatch.setattr(bench_module, "bench", bench)
    exported.clear()
    found = _ablate(scenes, tmp_path / "study", "no-flip", "class-agnostic", "one-class", latency=True)
    assert [path.name for path in exported] == ["baseline.onnx", "class-agnostic.onnx"]
    latencies = [row["latency"] for row in found.plain["rows"]]
    assert latencies[0] == latencies[1] == {"network_ms": 1000.0, "end_to_end_ms": 2000.0}
    assert latencies[2] == {"network_ms": 2000.0, "end_to_end_ms": 4000.0}
    assert latencies[3] is None
    assert "in turns, median" in (tmp_path / "study" / "ablation.html").read_text()


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


@pytest.mark.parametrize(("device", "there", "gpus"), [(None, True, 1), (None, False, 0), ("cpu", True, 0)])
def test_through_ray_a_gpu_that_is_there_is_asked_for(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str | None, there: bool, gpus: int
) -> None:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray.module())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    _stand_in(monkeypatch, baseline=0.25, **{"no-flip": 0.5})
    _ablate(scenes, tmp_path / "study", "no-flip", ray=True, device=device)
    assert {asked["num_gpus"] for asked in ray.asked} == {gpus}


@pytest.mark.parametrize(
    ("options", "kind", "complaint"),
    [
        ({"minutes": 1.0}, UsageError, "epochs = 1 and minutes = 1: give one of the two"),
        ({"minutes": 0.0, "epochs": None}, UsageError, "minutes = 0: a number above 0"),
        ({"ray": True, "device": "cuda:1"}, UsageError, "device = 'cuda:1': Ray chooses the GPU"),
        ({"rows": ["A"]}, UsageError, "rows = A: are those of a ladder"),
        ({"rows": ["A"], "ladder": "ppyolo", "mode": "single"}, UsageError, "rows = A: are those of a ladder"),
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
    with pytest.raises(ModelError, match=r"distilled.safetensors: .*backbone"):
        _ablate(scenes, tmp_path / "study", f"weights={_distilled(tmp_path)}")
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
