from __future__ import annotations

from pathlib import Path

import torch

from sanderling.models.weights.read import read_weights
from sanderling.models.weights.safetensors_file import save_network
from tests.support.networks import trained_like


def test_our_own_files(tmp_path: Path) -> None:
    network = trained_like()
    save_network(network, tmp_path / "a.safetensors")
    found = read_weights(tmp_path / "a.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in network.state_dict().items())


def test_nanodets_checkpoints(tmp_path: Path) -> None:
    torch.save({"state_dict": {"backbone.conv1.0.weight": torch.zeros(4, 3, 3, 3)}}, tmp_path / "a.ckpt")
    assert list(read_weights(tmp_path / "a.ckpt")) == ["backbone.conv1.0.weight"]


def test_torchvisions_backbones_stay_rgb_and_lose_their_classifier(tmp_path: Path) -> None:
    state = {name: torch.zeros(1) for name in ("conv5.0.weight", "fc.bias", "stage2.0.branch1.0.weight")}
    torch.save({"conv1.0.weight": torch.arange(3.0).view(1, 3, 1, 1), **state}, tmp_path / "a.pth")
    found = read_weights(tmp_path / "a.pth")
    assert set(found) == {"backbone.conv1.0.weight", "backbone.stage2.0.branch1.0.weight"}
    assert found["backbone.conv1.0.weight"].flatten().tolist() == [0, 1, 2]
