from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sanderling.errors import ModelError
from sanderling.models import zoo
from sanderling.models.weights.paddle_names import paddle_names
from sanderling.models.weights.read import read_weights
from sanderling.models.weights.safetensors_file import save_network
from tests.support.ncnn_files import folded, write_ncnn
from tests.support.networks import normal_network, trained_like


def _bare_backbone() -> dict[str, torch.Tensor]:
    """A classifier with the debug network's backbone, as torchvision names it."""
    state = {f"conv5.{number}.weight": torch.zeros(1) for number in range(2)}
    return {**{name: tensor.clone() for name, tensor in trained_like().backbone.state_dict().items()}, **state}


def test_our_own_files(tmp_path: Path) -> None:
    network = trained_like()
    save_network(network, tmp_path / "a.safetensors")
    found = read_weights(tmp_path / "a.safetensors", network)
    assert all(torch.equal(found[name], tensor) for name, tensor in network.state_dict().items())


def test_nanodets_checkpoints(tmp_path: Path) -> None:
    torch.save({"state_dict": {"backbone.conv1.0.weight": torch.zeros(4, 3, 3, 3)}}, tmp_path / "a.ckpt")
    assert list(read_weights(tmp_path / "a.ckpt", trained_like())) == ["backbone.conv1.0.weight"]


def test_bare_backbones_stay_rgb_and_their_classifier_keeps_its_names(tmp_path: Path) -> None:
    state = _bare_backbone()
    torch.save(state, tmp_path / "a.pth")
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "a.safetensors")
    for suffix in (".pth", ".safetensors"):
        found = read_weights(tmp_path / f"a{suffix}", trained_like())
        assert torch.equal(found["backbone.conv1.0.weight"], state["conv1.0.weight"])
        assert {name for name in found if not name.startswith("backbone.")} == {"conv5.0.weight", "conv5.1.weight"}


def test_foreign_safetensors_with_our_names_are_taken_as_they_are(tmp_path: Path) -> None:
    state = {name: tensor.contiguous() for name, tensor in trained_like().state_dict().items()}
    save_file(state, tmp_path / "a.safetensors")
    assert read_weights(tmp_path / "a.safetensors", trained_like()).keys() == state.keys()


def test_ncnn_by_either_file(tmp_path: Path) -> None:
    network = normal_network("nanodet-debug")
    path = write_ncnn(tmp_path / "a.param", folded(network))
    for suffix in (".param", ".bin"):
        found = read_weights(path.with_suffix(suffix), network)
        assert found.keys() == network.state_dict().keys()


def test_a_bin_without_param_is_read_as_pytorchs(tmp_path: Path) -> None:
    torch.save(_bare_backbone(), tmp_path / "pytorch_model.bin")
    assert "backbone.conv1.0.weight" in read_weights(tmp_path / "pytorch_model.bin", trained_like())


def test_paddle(tmp_path: Path) -> None:
    network = normal_network("yolov3-debug")
    state = network.state_dict()
    names = paddle_names(network)
    (tmp_path / "a.pdparams").write_bytes(pickle.dumps({theirs: state[ours].numpy() for ours, theirs in names.items()}))
    found = read_weights(tmp_path / "a.pdparams", network)
    assert found.keys() == names.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.items())


@pytest.mark.parametrize("suffix", [".pth", ".ckpt", ".bin", ".param", ".pdparams", ".weights", ".safetensors", ""])
def test_a_file_of_anything_else_is_one_error_whatever_it_is_called(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    for content in (b"", b"hello world, this is a text", b"\0" * 1000, b"\xff" * 1000):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"a(\.\w+)?: "):
            read_weights(path, zoo.config("nanodet-debug").build())
    with pytest.raises(ModelError, match="no such weights file"):
        read_weights(tmp_path / f"none{suffix}", trained_like())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(tmp_path: Path, bad: float) -> None:
    network = trained_like()
    name, tensor = next(item for item in network.state_dict().items() if item[0].endswith("weight"))
    tensor.view(-1)[3] = bad
    save_network(network, tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match=rf"a\.safetensors: {name} holds NaN or infinity"):
        read_weights(tmp_path / "a.safetensors", trained_like())


@pytest.mark.parametrize(("name", "said"), [("a.cfg", r"name the \.weights file"), ("a.onnx", "exported graph")])
def test_files_without_weights_are_told_apart(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).write_bytes(b"[net]")
    with pytest.raises(ModelError, match=said):
        read_weights(tmp_path / name, trained_like())
