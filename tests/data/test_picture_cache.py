from __future__ import annotations

import dataclasses
import errno
import mmap
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch

from sanderling.data import picture_cache
from sanderling.data import window as window_module
from sanderling.data.augment import AugmentConfig
from sanderling.data.loader import TrainingLoader
from sanderling.data.picture_cache import CacheConfig, PictureCache
from sanderling.data.source import Source, decode_source
from sanderling.datasets.dataset import Dataset
from sanderling.errors import RunError
from sanderling.memory import Memory
from sanderling.structures.artefact import PictureRule
from sanderling.structures.batch import Batch
from tests.support.painted_sets import painted_set

RULE = PictureRule(size_hw=(64, 96))
SIZES = [(161, 183), (120, 47), (297, 461), (48, 80)] * 5


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return painted_set(tmp_path_factory.mktemp("painted"), SIZES, suffix=".jpg")


@pytest.fixture
def dataset(painted: Dataset) -> Dataset:
    return dataclasses.replace(painted, sizes_hw=painted.sizes_hw.copy())


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
    assert cache.get(3, epoch=0) is None
    for picture in range(20):
        cache.put(picture, _source(dataset, picture), epoch=0)
    assert cache.kept == 20
    for picture in range(20):
        source, kept = _source(dataset, picture), cache.get(picture, epoch=1)
        assert kept is not None
        assert (kept.picture == source.picture).all()
        assert (kept.original_hw, kept.reduction_xy) == (source.original_hw, source.reduction_xy)
    cache.close()


@pytest.mark.parametrize(("where", "workers"), [("ram", 0), ("ram", 2), ("disk", 0), ("disk", 1)])
def test_a_cache_changes_nothing(dataset: Dataset, tmp_path: Path, workers: int, where: Literal["ram", "disk"]) -> None:
    expected = _epochs(dataset)
    cached = _epochs(dataset, workers=workers, cache=CacheConfig(where=where, folder=str(tmp_path)))
    assert len(cached) == len(expected) == 12
    for one, other in zip(cached, expected, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.targets.boxes_xyxy, other.targets.boxes_xyxy)
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_each_picture_is_decoded_once_in_a_run(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []

    def counting(path: Path, *rest: Any) -> Source:
        decoded.append(path.name)
        return decode_source(path, *rest)

    monkeypatch.setattr(window_module, "decode_source", counting)
    _epochs(dataset, cache=CacheConfig())
    assert len(decoded) == len(set(decoded)) == 20


def test_a_worker_finds_what_was_decoded_in_an_earlier_epoch(painted: Dataset, tmp_path: Path) -> None:
    dataset = painted_set(tmp_path, painted.sizes_hw[:6].tolist())
    with TrainingLoader(
        dataset, picture=RULE, augment=AugmentConfig(), batch=3, seed=3, workers=1, cache=CacheConfig()
    ) as loader:
        first = list(loader.epoch(0))
        for path in dataset.picture_paths.tolist():
            Path(path).unlink()
        second = list(loader.epoch(1))
    assert len(first) == len(second) == 2
    assert not loader.unreadable


def test_the_budget_is_kept(dataset: Dataset) -> None:
    whole = _cache(dataset)
    bytes_of = [source.picture.nbytes for picture in range(20) if (source := _source(dataset, picture))]
    half = _cache(dataset, gigabytes=sum(bytes_of) / 2e9)
    assert 0 < half.room_for < whole.room_for
    for picture in range(20):
        half.put(picture, _source(dataset, picture), epoch=0)
    assert half.kept == half.room_for
    assert os.fstat(half.descriptor).st_size <= sum(bytes_of) / 2 + 20 * 9 * 8


def test_processes_of_a_machine_share_the_budget(dataset: Dataset) -> None:
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
    # Two of the four processes run here.
    loader = TrainingLoader(
        dataset, picture=RULE, augment=AugmentConfig(), batch=5, seed=3, world=4, local_world=2, cache=both
    )
    assert loader.cache_bytes == 0
    with loader:
        next(loader.epoch(0))
        assert 1e-4 * 1e9 / 2 < loader.cache_bytes <= 1e-4 * 1e9 + 20 * 9 * 8


def test_a_picture_that_is_not_as_stated_is_not_kept(dataset: Dataset) -> None:
    dataset.sizes_hw[0] = (0, 0)
    dataset.sizes_hw[2] = (10, 10)
    cache = _cache(dataset)
    for picture in (0, 2):
        other = Source(picture=np.zeros((80, 90, 3), np.uint8), original_hw=(80, 90), reduction_xy=(1, 1))
        cache.put(picture, other, epoch=0)
        assert cache.get(picture, epoch=1) is None


def test_a_second_opening_sees_the_same_in_any_other_epoch(dataset: Dataset) -> None:
    cache = _cache(dataset)
    other = PictureCache(os.dup(cache.descriptor), 20)
    cache.put(7, _source(dataset, 7), epoch=3)
    # Until the epoch is over it may be on its way.
    assert other.get(7, epoch=3) is None
    for epoch in (4, 0):
        kept = other.get(7, epoch=epoch)
        assert kept is not None
        assert (kept.picture == _source(dataset, 7).picture).all()


def _is_open(descriptor: int) -> bool:
    return Path(f"/proc/self/fd/{descriptor}").exists()


def test_a_cache_that_is_forgotten_gives_its_descriptor_back(dataset: Dataset) -> None:
    cache = _cache(dataset)
    cache.put(7, _source(dataset, 7), epoch=0)
    descriptor, kept = cache.descriptor, cache.get(7, epoch=1)
    assert _is_open(descriptor)
    del cache
    assert not _is_open(descriptor)
    assert kept is not None
    assert (kept.picture == _source(dataset, 7).picture).all()
    closed = _cache(dataset)
    closed.close()
    closed.close()
    assert not _is_open(closed.descriptor)


@pytest.mark.parametrize(
    ("where", "place", "module", "call"),
    [
        ("ram", "memory", os, "memfd_create"),
        ("ram", "memory", os, "ftruncate"),
        ("ram", "memory", mmap, "mmap"),
        ("disk", "files", mmap, "mmap"),
    ],
)
def test_no_memory_for_the_area_is_one_clear_error_that_leaves_nothing_open(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, place: str, module: Any, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    folder = tmp_path / "files"
    folder.mkdir()
    monkeypatch.setattr(module, call, full)
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(RunError, match=rf"{place}: no room for .* GB .*\(Cannot allocate memory\).*runtime\.cache"):
        _cache(dataset, where=where, folder=str(folder))
    assert set(Path("/proc/self/fd").iterdir()) <= before


@pytest.mark.parametrize(("free", "addresses"), [(10**9, None), (2 * 10**5, None), (10**9, 2 * 10**5)])
@pytest.mark.parametrize("where", ["ram", "disk"])
def test_without_a_budget_half_of_what_this_process_can_have_is_taken(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, free: int, addresses: int | None
) -> None:
    monkeypatch.setattr(picture_cache, "available_memory", lambda: Memory(size=free, reason="the group leaves"))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    monkeypatch.setattr(picture_cache, "address_space_left", lambda: addresses)
    cache = _cache(dataset, where=where, folder=str(tmp_path))
    least = min(free, addresses or free)
    assert cache.size <= 20 * 9 * 8 + least / 2
    assert cache.room_for == 20 if least == 10**9 else 0 < cache.room_for < 20


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
