from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from sanderling.commands import report as report_module
from sanderling.commands.preview import PreviewResult, preview, tiles_of
from sanderling.commands.train import train
from sanderling.data.loader import TrainingLoader
from sanderling.datasets.locate import open_dataset
from sanderling.errors import DataError, MissingDependencyError, UsageError
from sanderling.structures.batch import Batch, Targets
from sanderling.training import loop
from sanderling.training.loop import Training
from sanderling.training.progress import Record
from tests.support.training import DEBUG_RUN, tiny_scenes

RUN = (*DEBUG_RUN, "batch=2", "loop.epochs=3", "loop.mosaic_off=1")
Seen = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_scenes(tmp_path_factory.mktemp("data"), train=5, val=3)


def _preview(scenes: Path | None, output: Path | None, *assignments: str, **options: Any) -> PreviewResult:
    return preview(
        options.pop("run", "nanodet-debug"),
        data=scenes,
        imgsz=options.pop("imgsz", (64, 96)),
        assignments=(*RUN, *assignments),
        output=output,
        **options,
    )


def _read(path: str) -> np.ndarray[Any, Any]:
    read = cv2.imread(path)
    assert read is not None
    return read[..., ::-1]


def _only_look(module: Any, batches: Iterator[Batch], training: Training, **_: Any) -> Record:
    """In place of an epoch's forward and backward passes."""
    looked_at = len(list(batches))
    return {
        "epoch": training.progress.epoch + 1,
        "time_s": 1.0,
        "lr": 0.1,
        "losses": {"total": 1.0},
        "pictures_per_s": float(looked_at),
        "skipped_steps": 0,
        "metrics": None,
    }


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What comes out of every loader that is made, epoch by epoch."""
    noted: Seen = []
    original = TrainingLoader.epoch

    def epoch(self: TrainingLoader, epoch: int, *, mosaic: bool, progress: float = 0.0) -> Iterator[Batch]:
        for batch in original(self, epoch, mosaic=mosaic, progress=progress):
            noted.append((epoch, mosaic, progress, batch.images.clone(), batch.targets.boxes_xyxy, batch.picture_ids))
            yield batch

    monkeypatch.setattr(TrainingLoader, "epoch", epoch)
    return noted


def test_it_shows_what_a_training_sees(
    scenes: Path, tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_module, "write_history_report", lambda folder, **_: folder)
    monkeypatch.setattr(loop, "_train_epoch", _only_look)
    varied = ("augment.mosaic=1", "augment.mixup.probability=0.5", "augment.mixup.until=0.5", "augment.grid_mask={}")
    sizes = ("augment.sizes.smallest=64", "augment.sizes.largest=96", "sampling.kind=class_aware")
    assignments = (*RUN, *varied, *sizes, "data.val=null", "warmup.steps=1")
    trained_in = tmp_path / "run"
    train("nanodet-debug", data=scenes, imgsz=(64, 96), assignments=assignments, output=trained_in)
    trained, seen[:] = [entry for entry in seen if len(entry[3]) == 2], []
    assert {entry[:3] for entry in trained} == {(0, True, 0.0), (1, True, 1 / 3), (2, False, 2 / 3)}
    for epoch in (1, 2, 3):
        result = preview(trained_in, epoch=epoch, batches=2, output=tmp_path / f"sheets{epoch}")
        assert (result.epoch, result.epochs, result.mosaic) == (epoch, 3, epoch < 3)
        assert len(result.batches) == result.batches_of_epoch == 2
    # The training looked at its first pictures once more, to begin with.
    trained = trained[-len(seen) :]
    for ours, theirs in zip(seen, trained, strict=True):
        assert ours[:3] == theirs[:3]
        assert torch.equal(ours[3], theirs[3])
        assert torch.equal(ours[4], theirs[4])
        assert ours[5] == theirs[5]


def test_sheets_and_counts(scenes: Path, tmp_path: Path, seen: Seen) -> None:
    result = _preview(scenes, tmp_path / "out", "augment.mosaic=0", batches=2, columns=1, seed=4)
    plain = json.loads(json.dumps(result.to_plain(), allow_nan=False))
    assert (plain["split"], plain["seed"], plain["batches_of_epoch"], plain["unreadable"]) == ("train", 4, 2, {})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["batch1.png", "batch2.png"]
    for entry, shown in zip(plain["batches"], seen, strict=True):
        assert entry["input"] == [64, 96]
        assert entry["pictures"] == 2
        assert entry["boxes"] == len(shown[4])
        assert entry["of_several"] == entry["weighed"] == 0
        # Pictures of 96 px are enlarged twofold, one below the other.
        sheet = _read(entry["sheet"])
        assert sheet.shape == (2 * 128 + 6, 192, 3)
        alike = (sheet[:128:2, ::2] == shown[3][0].permute(1, 2, 0).numpy()).all(axis=2)
        assert alike.mean() > 0.5


def test_mixtures_and_mosaics_are_counted(scenes: Path, tmp_path: Path) -> None:
    mixed = _preview(scenes, tmp_path / "mixed", "augment.mixup={}").batches[0]
    assert mixed.of_several == 2
    assert mixed.weighed == mixed.boxes
    tiled = _preview(scenes, tmp_path / "tiled", "augment.mosaic=1").batches[0]
    assert (tiled.of_several, tiled.weighed) == (2, 0)


def test_of_a_run_that_stitches_the_first_batch_is_stitched(scenes: Path, tmp_path: Path, seen: Seen) -> None:
    result = _preview(scenes, tmp_path / "out", "augment.mosaic=0", "augment.stitcher={}", batches=2)
    assert [batch.of_several for batch in result.batches] == [2, 0]
    # Every picture is in a sample twice, as a batch has two; what gets smaller than 2 px goes.
    halves = seen[0][4] / 2
    assert result.batches[0].boxes == 4 * int(((halves[:, 2:] - halves[:, :2]) >= 2).all(1).sum())
    assert result.batches[1].boxes == len(seen[1][4])
    later = _preview(scenes, tmp_path / "later", "augment.mosaic=0", "augment.stitcher={}", epoch=2)
    never = _preview(scenes, tmp_path / "never", "augment.mosaic=0", "augment.stitcher.threshold=0")
    assert later.batches[0].of_several == never.batches[0].of_several == 0


def test_captions_name_the_class_and_the_share_of_the_loss() -> None:
    batch = Batch(
        images=torch.zeros((3, 3, 64, 96), dtype=torch.uint8),
        targets=Targets(
            boxes_xyxy=torch.tensor([[1.0, 2, 30, 40], [5, 6, 50, 60], [0, 0, 9, 9]]),
            labels=torch.tensor([1, 0, 1]),
            weights=torch.tensor([1.0, 0.345, 1.0]),
            picture_index=torch.tensor([0, 0, 2]),
            pictures=3,
        ),
        picture_ids=(1, 2, 3),
    )
    tiles = tiles_of(batch, ("fire", "smoke"))
    assert [tile.captions for tile in tiles] == [("smoke", "fire x 0.34"), (), ("smoke",)]
    assert [tile.boxes_xyxy.tolist() for tile in tiles] == [[[1, 2, 30, 40], [5, 6, 50, 60]], [], [[0, 0, 9, 9]]]
    assert tiles[0].colours[0] == tiles[2].colours[0] != tiles[0].colours[1]


def test_another_split_of_a_run_in_its_own_folder(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _preview(scenes, None, split="val")
    assert (result.split, result.batches_of_epoch) == ("val", 1)
    assert result.batches[0].sheet == "runs/preview/nanodet-debug/batch1.png"
    assert Path(result.batches[0].sheet).is_file()


def test_pictures_that_cannot_be_read_are_told(scenes: Path, tmp_path: Path) -> None:
    copy = tiny_scenes(tmp_path / "copy", train=2, val=1)
    broken = str(open_dataset(copy, split="train").picture_paths[1])
    Path(broken).write_bytes(b"no picture")
    assert list(_preview(copy, tmp_path / "out").unreadable) == [broken]


@pytest.mark.parametrize(
    ("options", "assignments", "words"),
    [
        ({"epoch": 4}, (), r"epoch = 4: the run has epochs 1 to 3; set more with loop\.epochs=N"),
        ({"epoch": 0}, (), "epoch = 0: the run has epochs 1 to 3"),
        ({"batches": 3}, (), "batches = 3: an epoch of this run has 2; ask for no more"),
        ({"batches": 0}, (), "batches = 0: at least 1"),
        ({"columns": 0}, (), "columns = 0: at least 1"),
        ({"split": "tests"}, (), "'tests'"),
        ({"run": "nanodet-debgu"}, (), "did you mean 'nanodet-debug'"),
        ({}, ("augment.mosiac=1",), "did you mean 'mosaic'"),
    ],
)
def test_wrong_use_is_named_and_makes_no_folder(
    scenes: Path, tmp_path: Path, options: dict[str, Any], assignments: tuple[str, ...], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        _preview(scenes, tmp_path / "out", *assignments, **options)
    assert not (tmp_path / "out").exists()


def test_without_data_or_pictures(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no data set; name one with --data PATH"):
        _preview(None, tmp_path / "out")
    with pytest.raises(DataError):
        _preview(tmp_path, tmp_path / "out")


def test_a_folder_that_holds_something_is_left_alone(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds files already"):
        _preview(scenes, tmp_path)
    assert _preview(scenes, tmp_path, overwrite=True).batches[0].sheet == str(tmp_path / "batch1.png")
    for name in ("batch7.png", "batches.png"):
        (tmp_path / name).write_bytes(b"old")
    _preview(scenes, tmp_path, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"batch1.png", "batches.png", "mine.txt"}


def test_torch_is_needed(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with pytest.raises(MissingDependencyError, match="a preview of training needs the package 'torch'"):
        _preview(scenes, tmp_path / "out")
