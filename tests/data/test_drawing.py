from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.data.augment import AugmentConfig
from sanderling.data.drawing import Drawing, DrawingByWorkers, DrawingHere, EpochWindows
from sanderling.data.planning import WindowSettings
from sanderling.data.workers import WorkerPool
from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError
from sanderling.structures.artefact import PictureRule
from tests.support.painted_sets import painted_set
from tests.support.windows import epoch_windows

SETTINGS = WindowSettings(picture=PictureRule(size_hw=(32, 64)), augment=AugmentConfig(mosaic=0.5), seed=5)


def _ignore(reasons: dict[str, str]) -> None:
    assert not reasons


def _windows(dataset: Dataset, *, epoch: int = 0) -> EpochWindows:
    return epoch_windows(dataset, (32, 64), epoch=epoch)


def _all(drawing: Drawing, count: int, batch: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """All samples and all boxes, in order."""
    images = np.zeros((count, 32, 64, 3), np.uint8)
    boxes = []
    for begin in range(0, count, batch):
        positions = range(begin, min(begin + batch, count))
        for piece in drawing.fill(images[begin : positions.stop], positions):
            bounds = piece.labels.first_box
            boxes.append(piece.labels.boxes_xyxy[bounds[piece.samples.start] : bounds[piece.samples.stop]])
    return images, np.concatenate(boxes)


def test_how_an_epoch_is_cut_into_batches_changes_nothing(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, [(40, 60), (61, 43)] * 16)
    results = [_all(DrawingHere(_windows(dataset), SETTINGS, _ignore), 32, batch) for batch in (1, 7, 32)]
    for images, boxes in results[1:]:
        assert (images == results[0][0]).all()
        assert (boxes == results[0][1]).all()


@pytest.mark.parametrize("batch", [1, 7])
def test_a_ring_that_is_full_most_of_the_time_gives_the_same(tmp_path: Path, batch: int) -> None:
    dataset = painted_set(tmp_path, [(40, 60), (61, 43)] * 16)
    expected, expected_boxes = _all(DrawingHere(_windows(dataset), SETTINGS, _ignore), 32, batch)
    pool = WorkerPool(1, settings=SETTINGS, rows=16 + batch)
    try:
        images, boxes = _all(DrawingByWorkers(_windows(dataset), pool, _ignore), 32, batch)
    finally:
        pool.close()
    assert (images == expected).all()
    assert (boxes == expected_boxes).all()


def test_a_window_that_cannot_be_read_is_filled_from_the_next(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, [(40, 60)] * 32)
    for path in dataset.picture_paths[:16]:
        Path(path).unlink()
    noted: list[str] = []
    windows = _windows(dataset)
    pieces = DrawingHere(windows, SETTINGS, noted.extend).fill(np.zeros((32, 32, 64, 3), np.uint8), range(32))
    assert [len(piece.samples) for piece in pieces] == [16, 16]
    assert pieces[0].labels.indices.tolist() == list(range(16, 32))
    assert len(noted) == 16


def test_nothing_readable_at_all(tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, [(40, 60)] * 3)
    for path in dataset.picture_paths:
        Path(path).write_bytes(b"")
    with pytest.raises(DataError, match="no picture of the split 'train' can be decoded"):
        DrawingHere(_windows(dataset), SETTINGS, lambda reasons: None).fill(
            np.zeros((3, 32, 64, 3), np.uint8), range(3)
        )


def test_the_callers_opencv_threads_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(cv2, "getNumThreads", lambda: 3)
    monkeypatch.setattr(cv2, "setNumThreads", calls.append)
    dataset = painted_set(tmp_path, [(40, 60)])
    DrawingHere(_windows(dataset), SETTINGS, _ignore).fill(np.zeros((1, 32, 64, 3), np.uint8), range(1))
    assert calls == [1, 3]
