from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from sanderling import config
from sanderling.errors import ModelError, UsageError
from sanderling.models.network import DetectorNetwork
from sanderling.models.weights import imagenet
from sanderling.models.weights.folded_batchnorm import folded_norms, folded_state
from sanderling.models.weights.safetensors_file import save_network
from sanderling.recipes.build import build_training
from sanderling.recipes.named import named
from sanderling.recipes.run import Run
from tests.support.training import CPU, cpu_runtime, random_batch


def _run(*assignments: str) -> Run:
    run = dataclasses.replace(named("nanodet-debug", batch=4), runtime=CPU)
    run = dataclasses.replace(run, model=run.model.with_classes(("a", "b")))
    return config.override(run, assignments)


def test_everything_is_built_at_the_beginning() -> None:
    training = build_training(_run("loop.accumulate=2"), cpu_runtime(), batches=5)
    assert training.learning_rate.steps_per_epoch == 3
    assert (training.progress.epoch, training.progress.step) == (0, 0)
    assert training.ema is not None
    assert training.shipped is training.ema.network
    ours, theirs = training.task.network.state_dict(), training.ema.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    first = training.task.network.get_parameter("backbone.conv1.0.weight")
    assert first.is_contiguous(memory_format=torch.channels_last)


def test_without_an_average_the_network_itself_ships() -> None:
    training = build_training(_run("ema=null"), cpu_runtime(), batches=5)
    assert training.shipped is training.task.network


def test_weights_are_taken_and_only_the_classes_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "start.safetensors"
    torch.manual_seed(5)
    other = _run().model.with_classes(("x", "y", "z")).build()
    save_network(other, path)
    with caplog.at_level("INFO"):
        training = build_training(_run(f"weights={path}"), cpu_runtime(), batches=5)
    assert "tensors kept; 3" in caplog.text or "re-made" in caplog.text
    ours, theirs = training.task.network.state_dict(), other.state_dict()
    differing = {name for name in ours if ours[name].shape != theirs[name].shape}
    assert differing == {f"head.gfl_cls.{level}.{part}" for level in range(3) for part in ("weight", "bias")}
    assert all(torch.equal(ours[name], theirs[name]) for name in ours.keys() - differing)


def test_wrong_weights_and_wrong_freeze_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.safetensors"):
        build_training(_run(f"weights={tmp_path / 'none.safetensors'}"), cpu_runtime(), batches=1)
    with pytest.raises(UsageError, match="freeze = 'all'"):
        build_training(_run("task.freeze=all"), cpu_runtime(), batches=1)


def test_a_compiled_network_is_one_graph_with_the_same_losses_and_names(monkeypatch: pytest.MonkeyPatch) -> None:
    # The tracing of our code is what can break; generating code would take a C++ compiler and a minute.
    monkeypatch.setattr(
        DetectorNetwork, "compile", lambda self: nn.Module.compile(self, backend="eager", fullgraph=True)
    )
    losses, gradients, names = [], [], []
    for compiled in (False, True):
        torch.manual_seed(0)
        run = _run(f"runtime.compile={str(compiled).lower()}", "model.backbone.units=[1, 1, 1]")
        training = build_training(run, cpu_runtime(), batches=1)
        found = training.task.train()(cpu_runtime().bring(random_batch()))
        torch.stack(list(found.values())).sum().backward()
        assert (training.task.network._compiled_call_impl is not None) == compiled
        assert training.shipped._compiled_call_impl is None
        losses.append({name: loss.item() for name, loss in found.items()})
        gradients.append(training.task.network.get_parameter("backbone.conv1.0.weight").grad)
        names.append(list(training.task.state_dict()))
    assert losses[0] == pytest.approx(losses[1])
    torch.testing.assert_close(*gradients)
    assert names[0] == names[1]
    torch.compiler.reset()


def test_a_guided_network_is_compiled_by_parts() -> None:
    run = named("nanodet-plus-debug")
    run = dataclasses.replace(run, runtime=dataclasses.replace(CPU, compile=True))
    network = build_training(run, cpu_runtime(), batches=1).task.network
    assert network._compiled_call_impl is None
    assert all(part._compiled_call_impl is not None for part in (network.backbone, network.neck, network.head))


def test_frozen_parts_are_not_given_to_the_optimiser(tmp_path: Path) -> None:
    run = _run("task.freeze=backbone", f"weights={tmp_path / 'start.safetensors'}")
    save_network(run.model.build(), tmp_path / "start.safetensors")
    training = build_training(run, cpu_runtime(), batches=1)
    given = {id(parameter) for group in training.optimizer.param_groups for parameter in group["params"]}
    assert given == {
        id(parameter)
        for name, parameter in training.task.named_parameters()
        if not name.startswith("network.backbone.")
    }


@pytest.mark.parametrize("freeze", ["backbone", "1"])
def test_what_was_only_drawn_is_not_frozen(freeze: str) -> None:
    run = _run(f"task.freeze={freeze}")
    words = (
        rf"task\.freeze = .*{freeze}.* with weights = null and pretrained = null: .*--weights FILE.*task\.freeze=null"
    )
    with pytest.raises(UsageError, match=words):
        build_training(run, cpu_runtime(), batches=1)
    build_training(_run("task.freeze=0"), cpu_runtime(), batches=1)


def test_a_run_that_goes_on_needs_no_weights_to_start_from(tmp_path: Path) -> None:
    gone = f"weights={tmp_path / 'gone.safetensors'}"
    training = build_training(_run("task.freeze=backbone", gone), cpu_runtime(), batches=1, resumes=True)
    assert not any(parameter.requires_grad for parameter in training.task.network.backbone.parameters())


def test_the_first_published_run_of_yoloret_wants_a_backbone() -> None:
    run = dataclasses.replace(named("yoloret-mobilenetv2-0.75-published"), runtime=CPU)
    with pytest.raises(UsageError, match=r"task\.freeze = 'backbone'"):
        build_training(run, cpu_runtime(), batches=1)


def _folded_file(path: Path) -> str:
    network = _run().model.build()
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            network.load_state_dict(folded_state(name, module, torch.zeros(module.num_features)), strict=False)
    save_network(network, path)
    return f"weights={path}"


def test_folded_batchnorm_stays_folded_unless_it_is_recalibrated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = _folded_file(tmp_path / "folded.safetensors")
    with caplog.at_level("INFO"):
        frozen = build_training(_run(weights), cpu_runtime(), batches=1, pictures=[random_batch()])
    count = len(folded_norms(frozen.task.network))
    assert count == len([name for name in frozen.task.network.state_dict() if name.endswith("running_mean")])
    assert f"statistics of {count} layers are kept as they are" in caplog.text
    with caplog.at_level("INFO"):
        measured = build_training(
            _run(weights, "task.folded_batchnorm=recalibrate"), cpu_runtime(), batches=1, pictures=[random_batch()]
        )
    assert f"statistics of {count} layers are measured anew" in caplog.text
    assert not folded_norms(measured.task.network)
    assert not folded_norms(measured.shipped)


def test_recalibration_without_a_picture_is_refused(tmp_path: Path) -> None:
    run = _run(_folded_file(tmp_path / "folded.safetensors"), "task.folded_batchnorm=recalibrate")
    with pytest.raises(UsageError, match="no training picture reaches the network"):
        build_training(run, cpu_runtime(), batches=1)


def test_a_backbone_starts_from_imagenet_where_the_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    run = _run("pretrained=imagenet")
    theirs = run.model.build().backbone.state_dict()
    monkeypatch.setattr(imagenet, "imagenet_source", lambda _: imagenet.ImageNetSource(origin="timm", name="x"))
    monkeypatch.setattr(imagenet, "_download", lambda *_: theirs)
    network = build_training(run, cpu_runtime(), batches=1).task.network
    assert torch.equal(network.get_parameter("backbone.conv1.0.weight"), theirs["conv1.0.weight"])
    with pytest.raises(UsageError, match=r"weights = 'a\.pth' and pretrained = 'imagenet': give one of the two"):
        build_training(_run("pretrained=imagenet", "weights=a.pth"), cpu_runtime(), batches=1)
