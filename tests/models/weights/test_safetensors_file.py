from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sanderling import config
from sanderling.errors import ModelError
from sanderling.models.weights.folded_batchnorm import folded_state
from sanderling.models.weights.safetensors_file import (
    load_network,
    read_config,
    read_metadata,
    read_tensors,
    save_network,
    state_sha256,
)
from tests.support.networks import trained_like


def test_a_network_comes_back_whole(tmp_path: Path) -> None:
    network = trained_like()
    path = tmp_path / "new" / "best.safetensors"
    save_network(network, path, extra={"AP": "0.31"})
    read = load_network(path)
    assert read.config == network.config == read_config(path)
    assert not read.training
    assert read_metadata(path)["AP"] == "0.31"
    assert state_sha256(read) == state_sha256(network)
    images = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)
    assert torch.equal(read(images).class_logits, network(images).class_logits)


def test_folded_batchnorm_is_marked_for_those_who_look_into_the_file(tmp_path: Path) -> None:
    network = trained_like()
    save_network(network, tmp_path / "a.safetensors")
    assert "batchnorm" not in read_metadata(tmp_path / "a.safetensors")
    norm = network.get_submodule("backbone.conv1.1")
    assert isinstance(norm, torch.nn.BatchNorm2d)
    network.load_state_dict(folded_state("backbone.conv1.1", norm, None), strict=False)
    save_network(network, tmp_path / "a.safetensors")
    assert read_metadata(tmp_path / "a.safetensors")["batchnorm"] == "folded"


def test_channels_last_weights_are_written_as_they_are(tmp_path: Path) -> None:
    network = trained_like()
    digest = state_sha256(network)
    network.to(memory_format=torch.channels_last)
    save_network(network, tmp_path / "a.safetensors")
    assert state_sha256(load_network(tmp_path / "a.safetensors")) == digest == state_sha256(network)


def test_equal_weights_have_equal_hashes_and_others_do_not() -> None:
    assert (
        state_sha256(trained_like(seed=1)) == state_sha256(trained_like(seed=1)) != state_sha256(trained_like(seed=2))
    )


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "best.safetensors"
    save_network(trained_like(seed=1), path)
    before = path.read_bytes()

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as half:
            half.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save_network(trained_like(seed=2), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.3, 0.999])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, share: float) -> None:
    path = tmp_path / "best.safetensors"
    save_network(trained_like(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    for read in (load_network, read_config, read_tensors):
        with pytest.raises(ModelError, match=r"best\.safetensors: is no readable safetensors file.*cut off"):
            read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing\.safetensors: no such weights file"):
        load_network(tmp_path / "nothing.safetensors")


def test_foreign_safetensors_are_sent_to_the_import(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match=r"carries no 'sanderling_config'.*sanderling weights import"):
        load_network(path)


def _write(path: Path, *, tensors: dict[str, torch.Tensor] | None = None, **changes: str) -> Path:
    network = trained_like()
    metadata = {"sanderling_format": "1", "sanderling_config": json.dumps(config.plain(network.config)), **changes}
    save_file(tensors or {key: value.contiguous() for key, value in network.state_dict().items()}, path, metadata)
    return path


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"format version '2'.*reads '1'"):
        load_network(_write(tmp_path / "a.safetensors", sanderling_format="2"))


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "x"}', '{"name": "x", "bakbone": {}}', "null", "7"])
def test_an_unusable_configuration_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ModelError, match=r"a\.safetensors: unusable configuration inside"):
        load_network(_write(tmp_path / "a.safetensors", sanderling_config=text))


def test_tensors_that_do_not_fit_the_configuration_are_listed(tmp_path: Path) -> None:
    state = {key: value.contiguous() for key, value in trained_like().state_dict().items()}
    del state["backbone.conv1.0.weight"]
    state["neck.lateral_convs.0.weight"] = torch.zeros(48, 33, 1, 1)
    state["head.extra"] = torch.zeros(1)
    with pytest.raises(ModelError) as caught:
        load_network(_write(tmp_path / "a.safetensors", tensors=state))
    text = str(caught.value)
    assert "1 missing: backbone.conv1.0.weight" in text
    assert "1 of another shape: neck.lateral_convs.0.weight (48x33x1x1, 48x32x1x1 expected)" in text
    assert "1 unexpected: head.extra" in text
