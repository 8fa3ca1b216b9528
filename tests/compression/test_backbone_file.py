from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sanderling.compression.backbone_file import read_description, save_backbone
from sanderling.errors import ModelError
from sanderling.models import zoo
from sanderling.models.weights.safetensors_file import read_tensors, save_network
from sanderling.models.weights.start import start_from
from tests.support.networks import trained_like

ORIGIN = {"teacher": "somebody", "epochs": 3}


def test_a_detector_starts_from_it_whatever_its_classes(tmp_path: Path) -> None:
    network, path = trained_like(), tmp_path / "new" / "b.safetensors"
    save_backbone(network, path, origin=ORIGIN)
    other = zoo.config("nanodet-debug", ("one", "two", "three", "four")).build()
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    report = start_from(other, path)
    for name, tensor in other.state_dict().items():
        expected = network.state_dict()[name] if name.startswith("backbone.") else before[name]
        assert torch.equal(tensor, expected), name
    assert not report.unexpected
    assert all(name.startswith(("neck.", "head.")) for name in report.missing)


def test_it_holds_the_backbone_alone_and_says_how_it_was_made(tmp_path: Path) -> None:
    network, path = trained_like(), tmp_path / "b.safetensors"
    save_backbone(network, path, origin=ORIGIN)
    assert set(read_tensors(path)) == {f"backbone.{name}" for name in network.backbone.state_dict()}
    description = read_description(path)
    assert description["model"] == "nanodet-debug"
    assert description["backbone"]["kind"] == network.config.backbone.kind
    assert description["made_by"]["teacher"] == "somebody"
    assert description["made_by"]["epochs"] == 3


def test_equal_backbones_give_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_backbone(trained_like(), tmp_path / name, origin=ORIGIN)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_another_backbone_is_refused_by_the_detector(tmp_path: Path) -> None:
    save_backbone(trained_like(), tmp_path / "b.safetensors", origin=ORIGIN)
    with pytest.raises(ModelError, match=r"another model than 'ppyolo-debug'|no backbone of ppyolo-debug"):
        start_from(zoo.config("ppyolo-debug", ("a",)).build(), tmp_path / "b.safetensors")


def test_other_files_have_no_description(tmp_path: Path) -> None:
    save_network(trained_like(), tmp_path / "n.safetensors")
    with pytest.raises(ModelError, match="no file of a distilled backbone"):
        read_description(tmp_path / "n.safetensors")
