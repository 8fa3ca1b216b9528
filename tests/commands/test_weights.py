from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch

from sanderling.commands.weights import import_weights
from sanderling.errors import ModelError, UsageError
from sanderling.models.weights.safetensors_file import load_network, read_metadata, state_sha256
from sanderling.models.zoo.coco_classes import COCO_CLASSES
from tests.support.hostile import write_hostile_checkpoint
from tests.support.networks import trained_like
from tests.support.shared import shared_path


def _checkpoint(path: Path, classes: int, **changes: torch.Tensor | None) -> Path:
    """A debug network as NanoDet would have saved it: its names, BGR."""
    state = trained_like([str(number) for number in range(classes)]).state_dict()
    state["backbone.conv1.0.weight"] = state["backbone.conv1.0.weight"].flip(1)
    named = {
        f"model.fpn.{name.removeprefix('neck.').replace('.weight', '.conv.weight').replace('.bias', '.conv.bias')}"
        if name.startswith("neck.")
        else f"model.{name}": tensor
        for name, tensor in state.items()
    }
    named |= {name: tensor for name, tensor in changes.items() if tensor is not None}
    named = {name: tensor for name, tensor in named.items() if changes.get(name, tensor) is not None}
    torch.save({"state_dict": named, "epoch": 12}, path)
    return path


def test_a_checkpoint_becomes_a_weights_file_with_the_same_numbers(tmp_path: Path) -> None:
    source, output = _checkpoint(tmp_path / "nd.ckpt", 80), tmp_path / "nd.safetensors"
    outcome = import_weights(source, model="nanodet-debug", output=output)
    expected = trained_like([str(number) for number in range(80)])
    network = load_network(output)
    assert state_sha256(network) == state_sha256(expected) == outcome.weights_sha256
    assert network.config.class_names == outcome.class_names == COCO_CLASSES
    assert outcome.tensors == len(expected.state_dict())
    assert outcome.unexpected == ()
    assert read_metadata(output)["imported_from"] == "nd.ckpt"
    assert json.loads(json.dumps(outcome.to_plain()))["output"] == str(output)


def test_other_class_counts_are_kept_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, output = _checkpoint(tmp_path / "nd.pth", 3), tmp_path / "nd.safetensors"
    with caplog.at_level(logging.WARNING):
        assert import_weights(source, model="nanodet-debug", output=output).class_names == (
            *("class-0", "class-1", "class-2"),
        )
    assert "3 classes and no names" in caplog.text
    named = import_weights(source, model="nanodet-debug", output=output, class_names=["fire", "smoke", "crane"])
    assert named.class_names == load_network(output).config.class_names == ("fire", "smoke", "crane")
    with pytest.raises(UsageError, match="1 names are given, the source has 3 classes"):
        import_weights(source, model="nanodet-debug", output=output, class_names=["fire"])


def test_tensors_without_a_place_are_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = _checkpoint(tmp_path / "nd.pth", 80, **{"model.aux_head.weight": torch.zeros(2)})
    with caplog.at_level(logging.WARNING):
        outcome = import_weights(source, model="nanodet-debug", output=tmp_path / "nd.safetensors")
    assert outcome.unexpected == ("aux_head.weight",)
    assert "1 tensors are left out: aux_head.weight" in caplog.text


def test_missing_and_misshapen_tensors_are_listed_and_nothing_is_written(tmp_path: Path) -> None:
    source = _checkpoint(
        tmp_path / "nd.pth",
        80,
        **{"model.backbone.stage2.0.branch1.0.weight": None, "model.fpn.lateral_convs.1.conv.bias": torch.zeros(3)},
    )
    output = tmp_path / "nd.safetensors"
    with pytest.raises(ModelError) as caught:
        import_weights(source, model="nanodet-debug", output=output)
    assert "1 missing: backbone.stage2.0.branch1.0.weight" in str(caught.value)
    assert "1 of another shape: neck.lateral_convs.1.bias (3, 48 expected)" in str(caught.value)
    assert not output.exists()


def test_another_model_is_refused(tmp_path: Path) -> None:
    source = _checkpoint(tmp_path / "nd.pth", 80)
    with pytest.raises(ModelError, match=r"nd\.pth: is no nanodet-m: \d+ missing: .* and \d+ more; \d+ of another"):
        import_weights(source, model="nanodet-m", output=tmp_path / "nd.safetensors")


def test_a_hostile_checkpoint_runs_nothing_and_writes_nothing(tmp_path: Path) -> None:
    source, trace, output = tmp_path / "bad.pth", tmp_path / "trace", tmp_path / "nd.safetensors"
    write_hostile_checkpoint(source, trace)
    with pytest.raises(ModelError, match="nothing in it was run"):
        import_weights(source, model="nanodet-m", output=output)
    assert not trace.exists()
    assert not output.exists()


def test_names_and_outputs_that_cannot_be(tmp_path: Path) -> None:
    source = _checkpoint(tmp_path / "nd.pth", 80)
    with pytest.raises(UsageError, match="did you mean 'nanodet-debug'"):
        import_weights(source, model="nanodet-debg", output=tmp_path / "nd.safetensors")
    with pytest.raises(UsageError, match=r"nd\.pt'.*\.safetensors is expected"):
        import_weights(source, model="nanodet-debug", output=tmp_path / "nd.pt")


def test_the_official_checkpoint(tmp_path: Path) -> None:
    source = shared_path("weights/nanodet/nanodet_m_320_coco.pth")
    outcome = import_weights(source, model="nanodet-m", output=tmp_path / "nd.safetensors")
    assert outcome.tensors == 420
    assert outcome.unexpected == ()
    theirs = torch.load(source, weights_only=True)["state_dict"]
    ours = load_network(tmp_path / "nd.safetensors").state_dict()
    assert torch.equal(ours["backbone.conv1.0.weight"], theirs["backbone.conv1.0.weight"].flip(1))
    assert torch.equal(ours["head.gfl_cls.2.bias"], theirs["head.gfl_cls.2.bias"])
    assert torch.equal(ours["neck.lateral_convs.1.weight"], theirs["fpn.lateral_convs.1.conv.weight"])
