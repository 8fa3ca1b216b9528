from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sanderling.recipes.named import named
from sanderling.recipes.run import Run
from sanderling.studies import inputs
from sanderling.studies.inputs import Inputs, split_digest, weights_digest
from tests.support.training import tiny_scenes


@pytest.fixture
def run(tmp_path: Path) -> Run:
    scenes = tiny_scenes(tmp_path, train=2, val=1)
    return named("nanodet-debug").with_data(path=str(scenes))


def _move_a_box(run: Run) -> None:
    _in_labels(run, lambda plain: plain["annotations"][0]["bbox"].__setitem__(0, 1.0))


def _drop_a_picture(run: Run) -> None:
    _in_labels(run, lambda plain: plain["images"].pop())


def _rename_a_class(run: Run) -> None:
    _in_labels(run, lambda plain: plain["categories"][0].__setitem__("name", "renamed"))


def _grow_a_picture(run: Run) -> None:
    with _pictures(run)[0].open("ab") as file:
        file.write(b"more")


def _lose_a_picture(run: Run) -> None:
    _pictures(run)[0].unlink()


def _in_labels(run: Run, change: Callable[[Any], object]) -> None:
    (file,) = Path(run.data.path).glob("annotations/*train*.json")
    plain = json.loads(file.read_text())
    change(plain)
    file.write_text(json.dumps(plain))


def _pictures(run: Run) -> list[Path]:
    return sorted(Path(run.data.path).glob("images/train/*"))


@pytest.mark.parametrize("change", [_move_a_box, _drop_a_picture, _rename_a_class, _grow_a_picture, _lose_a_picture])
def test_whatever_is_learned_from_changes_its_digest_alone(run: Run, change: Callable[[Run], None]) -> None:
    before = Inputs().of(run)
    assert Inputs().of(run) == before
    assert set(before) == {"train", "val"}
    change(run)
    after = Inputs().of(run)
    assert after["train"] != before["train"]
    assert after["val"] == before["val"]


def test_other_weights_under_the_same_name_are_other_weights(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "b.safetensors"
    file.write_bytes(b"first")
    begun = dataclasses.replace(run, weights=str(file))
    before = Inputs().of(begun)
    file.write_bytes(b"other")
    after = Inputs().of(begun)
    assert after["weights"] != before["weights"]
    assert {**after, "weights": ""} == {**before, "weights": ""}


def test_both_files_of_a_pair_count(tmp_path: Path) -> None:
    (tmp_path / "a.param").write_text("layers")
    (tmp_path / "a.bin").write_bytes(b"weights")
    before = weights_digest(tmp_path / "a.param")
    assert weights_digest(tmp_path / "a.bin") == before
    (tmp_path / "a.bin").write_bytes(b"others")
    assert weights_digest(tmp_path / "a.param") != before


def test_each_split_is_read_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def noted(path: Path, *, split: str, data_format: None) -> str:
        read.append(split)
        return split_digest(path, split=split, data_format=data_format)

    monkeypatch.setattr(inputs, "split_digest", noted)
    known = Inputs()
    for batch in (4, 8):
        known.of(dataclasses.replace(run, batch=batch))
    known.of(run.with_data(val=None))
    assert read == ["train", "val"]
