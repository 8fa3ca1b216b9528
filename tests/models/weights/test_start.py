from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sanderling import config
from sanderling.errors import ModelError
from sanderling.models import zoo
from sanderling.models.weights.safetensors_file import save_network, state_sha256
from sanderling.models.weights.start import start_from
from tests.support.networks import trained_like


def _file(tmp_path: Path, class_names: tuple[str, ...]) -> Path:
    path = tmp_path / "start.safetensors"
    save_network(trained_like(class_names, seed=5), path)
    return path


def test_the_same_classes_take_everything(tmp_path: Path) -> None:
    path = _file(tmp_path, ("a", "b"))
    network = zoo.config("nanodet-debug", ("c", "d")).build()
    report = start_from(network, path)
    assert state_sha256(network) == state_sha256(trained_like(("a", "b"), seed=5))
    assert len(report.kept) == len(network.state_dict())
    assert report.remade == report.missing == report.unexpected == ()
    assert str(report) == f"{len(report.kept)} tensors kept"


def test_another_class_count_keeps_boxes_and_draws_classes_afresh(tmp_path: Path) -> None:
    path = _file(tmp_path, ("a", "b"))
    network = zoo.config("nanodet-debug", ("c", "d", "e", "f", "g")).build()
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    report = start_from(network, path)
    theirs, ours = trained_like(("a", "b"), seed=5).state_dict(), network.state_dict()
    assert report.remade == tuple(name for name in ours if name.startswith("head.gfl_cls."))
    for name in report.remade:
        assert torch.equal(ours[name][:5], fresh[name][:5])
        assert torch.equal(ours[name][5:], theirs[name][2:])
    for name in report.kept:
        assert torch.equal(ours[name], theirs[name])
    assert "6 class predictions re-made" in str(report)


def test_a_backbone_alone_is_enough_and_the_rest_is_named(tmp_path: Path) -> None:
    state = {
        name.removeprefix("backbone."): tensor
        for name, tensor in trained_like(seed=5).state_dict().items()
        if name.startswith("backbone.")
    }
    torch.save(state | {"fc.weight": torch.zeros(1)}, tmp_path / "imagenet.pth")
    network = zoo.config("nanodet-debug", ("a",)).build()
    report = start_from(network, tmp_path / "imagenet.pth")
    assert torch.equal(network.state_dict()["backbone.conv1.0.weight"], state["conv1.0.weight"])
    assert report.missing
    assert all(name.startswith(("neck.", "head.")) for name in report.missing)
    assert "not in the file, drawn afresh (neck." in str(report)


def test_tensors_without_a_place_are_named(tmp_path: Path) -> None:
    state = trained_like(seed=5).state_dict() | {"aux_head.weight": torch.zeros(3)}
    torch.save({"state_dict": state}, tmp_path / "more.pth")
    report = start_from(zoo.config("nanodet-debug", ("x", "y", "z")).build(), tmp_path / "more.pth")
    assert report.unexpected == ("aux_head.weight",)
    assert "1 of the file unused (aux_head.weight" in str(report)


def test_another_model_is_refused_and_the_network_left_as_it_was(tmp_path: Path) -> None:
    network = zoo.config("nanodet-m", ("a",)).build()
    before = state_sha256(network)
    with pytest.raises(
        ModelError, match=r"another model than 'nanodet-m': backbone\.conv1\.0\.weight has shape \(16, 3, 3, 3\)"
    ):
        start_from(network, _file(tmp_path, ("a",)))
    assert state_sha256(network) == before


def test_a_file_with_a_part_of_the_backbone_is_refused(tmp_path: Path) -> None:
    state = trained_like().state_dict()
    del state["backbone.stage3.1.branch2.0.weight"]
    torch.save({"state_dict": state}, tmp_path / "part.pth")
    with pytest.raises(ModelError, match=r"1 tensors of the backbone are not in it, the first is backbone\.stage3\.1"):
        start_from(zoo.config("nanodet-debug", ("x", "y", "z")).build(), tmp_path / "part.pth")


def test_a_neck_that_is_as_wide_as_its_classes_ask_says_how_to_go_on_from_other_classes(tmp_path: Path) -> None:
    path = tmp_path / "four.safetensors"
    save_network(zoo.config("yoloret-debug", ("a", "b", "c", "d")).build(), path)
    other = zoo.config("yoloret-debug", ("e", "f"))
    with pytest.raises(
        ModelError, match=r"file is for 4 classes, this network for 2.*--set model\.neck\.then\.width=27$"
    ):
        start_from(other.build(), path)
    widened = config.override(other, ["neck.then.width=27"]).build()
    report = start_from(widened, path)
    assert report.remade == tuple(f"head.outputs.{level}.weight" for level in range(3))
    assert report.missing == report.unexpected == ()
