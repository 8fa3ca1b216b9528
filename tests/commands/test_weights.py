from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path

import pytest
import torch

from sanderling.commands.weights import import_weights
from sanderling.errors import ModelError, UsageError
from sanderling.models.weights.safetensors_file import load_network, read_metadata, state_sha256
from sanderling.models.zoo.coco_classes import COCO_CLASSES
from tests.support.hostile import RunsCode, write_hostile_checkpoint
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


def test_the_published_ncnn_pair_is_the_official_checkpoint_with_batchnorm_folded_in(tmp_path: Path) -> None:
    pair = shared_path("weights/nanodet/nanodet-m.param")
    outcome = import_weights(pair, model="nanodet-m", output=tmp_path / "ncnn.safetensors")
    assert outcome.folded_batchnorm
    assert read_metadata(tmp_path / "ncnn.safetensors")["batchnorm"] == "folded"
    official = shared_path("weights/nanodet/nanodet_m_320_coco.pth")
    assert not import_weights(official, model="nanodet-m", output=tmp_path / "pth.safetensors").folded_batchnorm
    images = torch.randint(0, 256, (1, 3, 96, 160), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ours, theirs = (load_network(tmp_path / f"{name}.safetensors")(images) for name in ("ncnn", "pth"))
    # The pair is in float16.
    torch.testing.assert_close(ours.class_logits.sigmoid(), theirs.class_logits.sigmoid(), rtol=0, atol=4e-3)
    torch.testing.assert_close(ours.box_logits, theirs.box_logits, rtol=0, atol=0.2)


def test_nanodet_plus_comes_from_its_ncnn_pair_and_from_no_other(tmp_path: Path) -> None:
    pair, output = shared_path("weights/nanodet/nanodet-plus-m_416.bin"), tmp_path / "plus.safetensors"
    outcome = import_weights(pair, model="nanodet-plus-m", output=output)
    assert outcome.unexpected == ()
    # Numbers that a file with BatchNorm folded in holds, by the sheet, and BatchNorm's own beside them.
    state = load_network(output).state_dict()
    held = [name for name in state if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    scales = [name for name in held if state[name].ndim == 1 and name.endswith(".weight")]
    assert sum(state[name].numel() for name in set(held) - set(scales)) == 1_186_346
    with pytest.raises(ModelError, match=r"plus-m_416\.bin: is no nanodet-m: it has 110 convolutions, 73 are expected"):
        import_weights(pair, model="nanodet-m", output=tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match=r"is no nanodet-plus-m"):
        import_weights(shared_path("weights/nanodet/nanodet-m.bin"), model="nanodet-plus-m", output=output)


def test_a_pdparams_that_carries_code_runs_nothing_and_writes_nothing(tmp_path: Path) -> None:
    source, trace, output = tmp_path / "bad.pdparams", tmp_path / "trace", tmp_path / "x.safetensors"
    source.write_bytes(pickle.dumps({"backbone.conv1._conv.weight": RunsCode(trace)}, protocol=4))
    with pytest.raises(ModelError, match=r"bad\.pdparams: .*nothing in it was run"):
        import_weights(source, model="yolov3-debug", output=output)
    assert not trace.exists()
    assert not output.exists()


def test_a_classifier_is_no_detector_and_is_sent_to_training(tmp_path: Path) -> None:
    torch.save(trained_like().backbone.state_dict() | {"fc.bias": torch.zeros(3)}, tmp_path / "imagenet.pth")
    with pytest.raises(ModelError, match=r"missing: neck\..*sanderling train nanodet-debug --weights .*imagenet\.pth"):
        import_weights(tmp_path / "imagenet.pth", model="nanodet-debug", output=tmp_path / "x.safetensors")
