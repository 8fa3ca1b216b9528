from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.weights.torch_file import read_state_dict
from tests.support.hostile import write_hostile_checkpoint

FIRST = "backbone.conv1.0.weight"


def _state() -> dict[str, torch.Tensor]:
    return {FIRST: torch.arange(3.0).view(1, 3, 1, 1)}


def test_the_state_is_found_at_the_top_or_under_its_key(tmp_path: Path) -> None:
    for number, content in enumerate((_state(), {"state_dict": _state(), "epoch": 280, "iter": 12})):
        path = tmp_path / f"{number}.pth"
        torch.save(content, path)
        assert list(read_state_dict(path)) == [FIRST]


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "hostile.pth", tmp_path / "trace"
    write_hostile_checkpoint(path, trace)
    with pytest.raises(ModelError, match=r"hostile\.pth: is no checkpoint of plain tensors.*nothing in it was run"):
        read_state_dict(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()  # it would have


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_checkpoint_that_is_cut_off_is_named(tmp_path: Path, share: float, legacy: bool) -> None:
    path = tmp_path / "cut.pth"
    torch.save({"state_dict": {FIRST: torch.randn(64, 3, 3, 3)}}, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match=r"cut\.pth: is no checkpoint of plain tensors, or it is cut off"):
        read_state_dict(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02}q\x00.", b"\x80\x04N.", b"PK\x03\x04" + b"\0" * 40])
def test_files_of_other_kinds_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"odd\.pth: "):
        read_state_dict(path)


@pytest.mark.parametrize(
    "content", [[1, 2], {"state_dict": {}}, {"state_dict": {"a": 1}}, {"epoch": 3}, {1: torch.zeros(2)}]
)
def test_checkpoints_without_tensors_are_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "empty.pth"
    torch.save(content, path)
    with pytest.raises(ModelError, match="holds no state_dict of tensors"):
        read_state_dict(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(ModelError, match="no such weights file"):
            read_state_dict(path)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1).expand(10**6, 3, 10**4, 10**3),  # would be 120 TB
        torch.ones(2, 3).to_sparse(),
        torch.ones(2, 3, device="meta"),
        torch.ones(2, 3, dtype=torch.complex64),
    ],
    ids=["larger than stored", "sparse", "without numbers", "complex"],
)
def test_tensors_that_are_not_plain_are_named(tmp_path: Path, tensor: torch.Tensor) -> None:
    path = tmp_path / "odd.pth"
    torch.save({"state_dict": {FIRST: tensor}}, path)
    with pytest.raises(ModelError, match=r"odd\.pth: backbone\.conv1\.0\.weight is no plain tensor"):
        read_state_dict(path)


def test_views_of_one_storage_are_plain_tensors(tmp_path: Path) -> None:
    path, whole = tmp_path / "views.pth", torch.arange(6.0)
    torch.save({"a": whole[:3], "b": whole[3:].view(1, 3)}, path)
    assert read_state_dict(path)["b"].tolist() == [[3, 4, 5]]
