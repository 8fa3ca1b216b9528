from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from sanderling import config
from sanderling.compression.distillation_run import DistillationRun, build_distillation
from sanderling.errors import UsageError
from sanderling.models import zoo
from sanderling.training.loop import fit
from tests.support.teachers import tiny_teacher
from tests.support.training import CPU, ListLoader, cpu_runtime, random_batch


def _run(**changes: object) -> DistillationRun:
    model = zoo.config("nanodet-debug", ("a", "b")).with_picture(size_hw=(64, 96))
    run = DistillationRun(model=model, pictures=("birds",), runtime=CPU)
    return dataclasses.replace(run, **changes)  # type: ignore[arg-type]


def test_it_survives_yaml_unchanged(tmp_path: Path) -> None:
    run = _run(minutes=2.5)
    (tmp_path / "run.yaml").write_text(config.dump(run))
    assert config.load(DistillationRun, tmp_path / "run.yaml") == run
    with pytest.raises(UsageError, match="did you mean 'teacher'"):
        config.override(run, ["teachr=x"])


def test_the_existing_loop_trains_it_and_leaves_neck_and_head_alone() -> None:
    runtime, loader = cpu_runtime(), ListLoader([random_batch(4, seed=seed) for seed in (0, 1)])
    run = config.override(_run(), ["loop.epochs=2"])
    task, training = build_distillation(run, tiny_teacher(), runtime, batches=2)
    before = {name: parameter.clone() for name, parameter in task.network.named_parameters()}
    fit(training, loader, config=run.loop, runtime=runtime, seed=0, validate=None, keep=lambda *_: None)
    assert training.progress.epoch == 2
    assert training.progress.step == 4
    changed = {name for name, parameter in task.network.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == {f"backbone.{name}" for name, _ in task.network.backbone.named_parameters()}
    assert all(set(record["losses"]) == {"divergence", "total"} for record in training.progress.history)


def test_only_the_student_is_compiled_and_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []

    def note(module: nn.Module) -> None:
        compiled.append(module)

    monkeypatch.setattr(nn.Module, "compile", note)
    for wanted in (False, True):
        run = _run(runtime=dataclasses.replace(CPU, compile=wanted))
        task, _ = build_distillation(run, tiny_teacher(), cpu_runtime(), batches=2)
        assert compiled == ([task.network.backbone] if wanted else [])


def test_the_same_seed_draws_the_same_student() -> None:
    def drawn(seed: int) -> dict[str, torch.Tensor]:
        return build_distillation(_run(seed=seed), tiny_teacher(), cpu_runtime(), batches=2)[0].state_dict()

    first, second, other = drawn(1), drawn(1), drawn(2)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert not torch.equal(first["output.weight"], other["output.weight"])


def test_the_schedule_ends_near_zero_with_the_last_epoch() -> None:
    run = config.override(_run(), ["loop.epochs=50", "loop.accumulate=2"])
    _, training = build_distillation(run, tiny_teacher(), cpu_runtime(), batches=7)
    assert training.learning_rate.steps_per_epoch == 4
    assert training.learning_rate.at(50 * 4 - 1) < 0.02 * run.optimizer.lr
