from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from sanderling.data import window as window_module
from sanderling.data.augment import AugmentConfig
from sanderling.data.loader import TrainingLoader
from sanderling.data.picture_cache import CacheConfig, PictureCache
from sanderling.data.source import Source, decode_source
from sanderling.datasets.dataset import Dataset
from sanderling.errors import RunError
from sanderling.structures.artefact import PictureRule
from sanderling.structures.batch import Batch
from tests.support.painted_sets import painted_set

RULE = PictureRule(size_hw=(64, 96))
SIZES = [(161, 183), (120, 47), (297, 461), (48, 80)] * 5


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return painted_set(tmp_path / "set", SIZES, suffix=".jpg")


def _cache(dataset: Dataset, **changed: Any) -> PictureCache:
    return PictureCache.create(
        CacheConfig(**changed),
        paths=dataset.picture_paths.tolist(),
        sizes_hw=dataset.sizes_hw,
        rule=RULE,
        augment=AugmentConfig(),
    )


def _source(dataset: Dataset, picture: int) -> Source:
    height, width = dataset.sizes_hw[picture].tolist()
    return decode_source(Path(dataset.picture_paths[picture]), (height, width), RULE, AugmentConfig())


def _epochs(dataset: Dataset, **changed: Any) -> list[Batch]:
    augment = AugmentConfig(mosaic=0.5)
    with TrainingLoader(dataset, picture=RULE, augment=augment, batch=5, seed=3, **changed) as loader:
        return [batch for epoch in range(3) for batch in loader.epoch(epoch)]


@pytest.mark.parametrize("where", ["ram", "disk"])
def test_what_is_kept_is_what_was_decoded(dataset: Dataset, tmp_path: Path, where: str) -> None:
    cache = _cache(dataset, where=where, folder=str(tmp_path))
    assert cache.room_for == 20
    assert cache.get(3) is None
    for picture in range(20):
        cache.put(picture, _source(dataset, picture))
    assert cache.kept == 20
    for picture in range(20):
        source, kept = _source(dataset, picture), cache.get(picture)
        assert kept is not None
        assert (kept.picture == source.picture).all()
        assert (kept.original_hw, kept.reduction_xy) == (source.original_hw, source.reduction_xy)
    cache.close()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("where", ["ram", "disk"])
def test_a_cache_changes_nothing(dataset: Dataset, tmp_path: Path, workers: int, where: Literal["ram", "disk"]) -> None:
    expected = _epochs(dataset)
    cached = _epochs(dataset, workers=workers, cache=CacheConfig(where=where, folder=str(tmp_path)))
    assert len(cached) == len(expected) == 12
    for one, other in zip(cached, expected, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.targets.boxes_xyxy, other.targets.boxes_xyxy)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]  # nothing is left behind


def test_each_picture_is_decoded_once_in_a_run(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []

    def counting(path: Path, *rest: Any) -> Source:
        decoded.append(path.name)
        return decode_source(path, *rest)

    monkeypatch.setattr(window_module, "decode_source", counting)
    _epochs(dataset, cache=CacheConfig())
    assert len(decoded) == len(set(decoded)) == 20


def test_the_budget_is_kept(dataset: Dataset) -> None:
    whole = _cache(dataset)
    bytes_of = [source.picture.nbytes for picture in range(20) if (source := _source(dataset, picture))]
    half = _cache(dataset, gigabytes=sum(bytes_of) / 2e9)
    assert 0 < half.room_for < whole.room_for
    for picture in range(20):
        half.put(picture, _source(dataset, picture))
    assert half.kept == half.room_for
    assert os.fstat(half.descriptor).st_size <= sum(bytes_of) / 2 + 20 * 9 * 8


def test_processes_share_the_budget(dataset: Dataset) -> None:
    both = CacheConfig(gigabytes=2e-4)
    rooms = [
        PictureCache.create(
            both,
            paths=dataset.picture_paths.tolist(),
            sizes_hw=dataset.sizes_hw,
            rule=RULE,
            augment=AugmentConfig(),
            processes=processes,
        ).room_for
        for processes in (1, 2)
    ]
    assert 0 < rooms[1] < rooms[0] < 20


def test_a_picture_that_is_not_as_stated_is_not_kept(dataset: Dataset) -> None:
    dataset.sizes_hw[0] = (0, 0)
    dataset.sizes_hw[2] = (10, 10)
    cache = _cache(dataset)
    for picture in (0, 2):
        cache.put(picture, Source(picture=np.zeros((80, 90, 3), np.uint8), original_hw=(80, 90), reduction_xy=(1, 1)))
        assert cache.get(picture) is None


def test_a_second_opening_sees_the_same(dataset: Dataset) -> None:
    cache = _cache(dataset)
    other = PictureCache(os.dup(cache.descriptor), 20)
    cache.put(7, _source(dataset, 7))
    kept = other.get(7)
    assert kept is not None
    assert (kept.picture == _source(dataset, 7).picture).all()


def test_a_disk_without_room_is_one_clear_error(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RunError, match=r"no room for .* GB of decoded pictures .*runtime\.cache"):
        _cache(dataset, where="disk", folder=str(tmp_path))


def test_a_missing_folder_is_one_clear_error(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"nowhere: no room .*\(No such file or directory\)"):
        _cache(dataset, where="disk", gigabytes=1.0, folder=str(tmp_path / "nowhere"))
