from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sanderling.data.augment import AugmentConfig
from sanderling.data.loader import TrainingLoader
from sanderling.data.transforms.blend import MixupConfig
from sanderling.data.transforms.cutout import ActivationCutoutConfig
from sanderling.datasets.dataset import Dataset
from sanderling.errors import DataError
from sanderling.structures.artefact import PictureRule
from sanderling.structures.batch import Batch
from sanderling.training.activation_memory import ActivationMemory, MarkingLoader, high_cells
from tests.support.painted_sets import painted_set
from tests.support.training import random_batch
from tests.support.two_processes import in_two_processes
from tests.support.zoo import eight_pictures

CONFIG = ActivationCutoutConfig(threshold=0.6, cells=6)
RULE = PictureRule(size_hw=(64, 96), pad_value=0)


def _turned(degrees: float, *, scale: float, mirrored: bool, size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """Shares of a picture's sides to pixels: turned about the middle of the sample, then mirrored."""
    height, width = size_hw
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    linear = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([0.8 * width, 0.6 * height]) * scale
    matrix = np.column_stack([linear, np.array([width / 2, height / 2]) - linear @ [0.5, 0.5]])
    if mirrored:
        matrix = np.diag([-1.0, 1.0]) @ matrix + np.array([[0, 0, width], [0, 0, 0]])
    return matrix.astype(np.float32)


def _slow_high_cells(
    maps: NDArray[np.float64], placement: NDArray[np.float64], *, size_hw: tuple[int, int], config: Any
) -> NDArray[np.bool_]:
    """One picture (CxHxW), cell by cell."""
    means = maps.mean(0)
    rows, columns = means.shape

    def at(row: int, column: int) -> float:
        return float(means[min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)])

    seen = {}
    for down in range(config.cells):
        for across in range(config.cells):
            x, y = placement @ [(across + 0.5) / config.cells, (down + 0.5) / config.cells, 1]
            if not (0 <= x <= size_hw[1] and 0 <= y <= size_hw[0]):
                continue
            column, row = x / size_hw[1] * columns - 0.5, y / size_hw[0] * rows - 0.5
            left, top = math.floor(column), math.floor(row)
            right_share, down_share = column - left, row - top
            upper = at(top, left) * (1 - right_share) + at(top, left + 1) * right_share
            lower = at(top + 1, left) * (1 - right_share) + at(top + 1, left + 1) * right_share
            seen[down, across] = upper * (1 - down_share) + lower * down_share
    marked = np.zeros((config.cells, config.cells), np.bool_)
    for cell, value in seen.items():
        lowest, highest = min(seen.values()), max(seen.values())
        marked[cell] = (value - lowest) / (highest - lowest) > config.threshold
    return marked


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("degrees", "scale"), [(0, 1.0), (25, 0.7), (-70, 1.3), (171, 1.9)])
def test_cells_are_read_where_the_picture_lies(degrees: float, scale: float, mirrored: bool) -> None:
    size_hw = (64, 96)
    maps = torch.rand(3, 5, 4, 6, generator=torch.Generator().manual_seed(int(degrees) + 100))
    placements = np.stack([_turned(degrees + 7 * n, scale=scale, mirrored=mirrored, size_hw=size_hw) for n in range(3)])
    found = high_cells(maps, torch.from_numpy(placements), size_hw=size_hw, config=CONFIG)
    expected = [
        _slow_high_cells(one.double().numpy(), placement.astype(np.float64), size_hw=size_hw, config=CONFIG)
        for one, placement in zip(maps, placements, strict=True)
    ]
    assert (found.numpy() == np.stack(expected)).all()
    assert 0 < found.sum() < found.numel() / 2


@pytest.mark.parametrize("value", [1.0, math.nan, math.inf])
def test_a_map_that_says_nothing_marks_nothing(value: float) -> None:
    maps = torch.full((1, 2, 4, 6), value)
    maps[0, :, 0, 0] = 1
    placements = torch.from_numpy(_turned(0, scale=1.25, mirrored=False, size_hw=(64, 96)))[None]
    assert not high_cells(maps, placements, size_hw=(64, 96), config=CONFIG).any()


class _Brightness(nn.Module):
    """A backbone that is active where a picture is bright."""

    def forward(self, images: Tensor) -> list[Tensor]:
        fine = torch.nn.functional.avg_pool2d(images.float(), 4)
        return [fine.flip(3), fine]


def _lamps(folder: Path, count: int = 6) -> Dataset:
    """Dark pictures of many shapes with one bright rectangle each, somewhere."""
    sizes_hw = [(90 + 20 * index, 150 - 17 * index) for index in range(count)]
    dataset = painted_set(folder, sizes_hw)
    rng = np.random.default_rng(3)
    for path, (height, width) in zip(dataset.picture_paths.tolist(), sizes_hw, strict=True):
        image = np.full((height, width, 3), 10, np.uint8)
        left, top = int(rng.integers(width // 4, width // 2)), int(rng.integers(height // 4, height // 2))
        image[top : top + height // 5, left : left + width // 5] = 255
        cv2.imwrite(path, image)
    return dataset


TURNING = AugmentConfig(
    rotate=30, scale=(0.7, 0.9), translate=0.05, brightness=0.0, contrast=(1.0, 1.0), saturation=(1.0, 1.0)
)


def _bright_corners(corners: Sequence[slice], *, ids: tuple[int, ...]) -> Batch:
    """Whole pictures as they are, dark but for the pixels of a corner."""
    images = torch.zeros(len(corners), 3, 64, 96, dtype=torch.uint8)
    for image, corner in zip(images, corners, strict=True):
        image[:, corner, corner] = 255
    return Batch(
        images=images,
        targets=random_batch(len(corners)).targets,
        picture_ids=ids,
        placements=torch.tensor([[96.0, 0, 0], [0, 64.0, 0]]).expand(len(corners), 2, 3),
    )


def _memory(dataset: Dataset, backbone: nn.Module, config: ActivationCutoutConfig = CONFIG) -> ActivationMemory:
    return ActivationMemory(config, dataset=dataset, backbone=backbone, device=torch.device("cpu"))


def _learn(memory: ActivationMemory, backbone: nn.Module, batch: Batch) -> None:
    batch = memory.before(batch)
    backbone(batch.images)
    memory.after(batch, {})


def test_what_was_bright_in_one_epoch_is_cut_out_in_the_next_wherever_it_lies(tmp_path: Path) -> None:
    dataset, backbone = _lamps(tmp_path), _Brightness()
    config = ActivationCutoutConfig(threshold=0.15, cells=20)
    memory = _memory(dataset, backbone, config)
    augment = dataclasses.replace(TURNING, activation_cutout=config)
    plain = TrainingLoader(dataset, picture=RULE, augment=augment, batch=3, seed=1)
    loader = MarkingLoader(plain, memory)
    assert len(loader) == 2
    for batch in loader.epoch(0):
        _learn(memory, backbone, batch)
    assert memory.state() == {}
    memory.epoch_ended()
    assert memory.marks is not None
    assert ((memory.marks.mean((1, 2)) > 0.02) & (memory.marks.mean((1, 2)) < 0.25)).all()
    for cut, whole in zip(loader.epoch(1), list(plain.epoch(1)), strict=True):
        assert torch.equal(cut.images.minimum(whole.images), cut.images)
        left, shown = ((batch.images > 100).sum((1, 2, 3)) for batch in (cut, whole))
        assert (shown > 100).all()
        # At most a pixel here and there, where a cell or a patch of the map is bright for a small part.
        assert (left < 0.05 * shown).all()


def test_an_epoch_that_saw_no_picture_alone_has_no_marks(tmp_path: Path) -> None:
    dataset, backbone = _lamps(tmp_path), _Brightness()
    memory = _memory(dataset, backbone)
    for augment, any_marks in [
        (TURNING, True),
        (dataclasses.replace(TURNING, mosaic=1.0), False),
        (dataclasses.replace(TURNING, mixup=MixupConfig(probability=1.0)), False),
    ]:
        loader = TrainingLoader(dataset, picture=RULE, augment=augment, batch=3, seed=1)
        for batch in loader.epoch(0):
            _learn(memory, backbone, batch)
        memory.epoch_ended()
        assert memory.marks is not None
        assert memory.marks.any() == any_marks
    # Nor does anybody know where the pictures of such a batch are.
    _learn(memory, backbone, random_batch())


def test_a_picture_that_is_seen_twice_keeps_the_marks_of_both(tmp_path: Path) -> None:
    dataset, backbone = _lamps(tmp_path), _Brightness()
    begin, end = slice(0, 16), slice(-16, None)
    memory = _memory(dataset, backbone)
    _learn(memory, backbone, _bright_corners([begin, end, end], ids=(101, 101, 104)))
    _learn(memory, backbone, _bright_corners([begin], ids=(103,)))
    memory.epoch_ended()
    assert memory.marks is not None
    assert memory.marks.any((1, 2)).tolist() == [False, True, False, True, True, False]
    corners = memory.marks[:, [0, 5, 0], [0, 5, 5]].tolist()
    assert corners[1] == [True, True, False]
    assert corners[3:5] == [[True, False, False], [False, True, False]]


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    dataset, backbone = _lamps(tmp_path, count=5), _Brightness()
    first, second = _memory(dataset, backbone), _memory(dataset, nn.Identity())
    assert first.state() == {}
    second.restore(first.state())
    assert second.state() == {}
    for batch in TrainingLoader(dataset, picture=RULE, augment=TURNING, batch=5, seed=1).epoch(0):
        _learn(first, backbone, batch)
    first.epoch_ended()
    second.restore(first.state())
    assert first.marks is not None
    assert second.marks is not None
    assert first.marks.any()
    assert (first.marks == second.marks).all()
    with pytest.raises(ValueError, match="23 bytes of marks, 18 are expected"):
        _memory(painted_set(tmp_path / "fewer", [(40, 40)] * 4, suffix=".png"), backbone).restore(
            {"marks": torch.zeros(23, dtype=torch.uint8)}
        )


@pytest.mark.slow  # loads the compiler
def test_it_sees_into_a_network_that_is_compiled_as_a_whole(tmp_path: Path) -> None:
    dataset, backbone = _lamps(tmp_path), _Brightness()
    network, memory = nn.Sequential(backbone), _memory(dataset, backbone)
    network.compile(backend="eager", fullgraph=True)
    # The second batch meets what was compiled for the first.
    for corner, picture in [(slice(0, 16), 101), (slice(-16, None), 104)]:
        _learn(memory, network, _bright_corners([corner], ids=(picture,)))
    memory.epoch_ended()
    torch.compiler.reset()
    assert memory.marks is not None
    assert memory.marks[[1, 4], [0, 5], [0, 5]].tolist() == [True, True]
    assert memory.marks[[1, 4], [5, 0], [5, 0]].tolist() == [False, False]


def test_ids_that_repeat_are_refused(tmp_path: Path) -> None:
    dataset = _lamps(tmp_path)
    twice = dataclasses.replace(dataset, picture_ids=np.array([1, 1, 2, 3, 4, 5]))
    with pytest.raises(DataError, match="1 pictures have the id of another one"):
        _memory(twice, nn.Identity())


def _work(rank: int) -> dict[str, Any]:
    """Each process has seen another corner of another picture, and a corner of one that both saw."""
    dataset = dataclasses.replace(eight_pictures((64, 96))[1], picture_ids=np.arange(8) + 100)
    backbone = _Brightness()
    memory = _memory(dataset, backbone)
    corner = slice(0, 16) if rank == 0 else slice(-16, None)
    _learn(memory, backbone, _bright_corners([corner, corner], ids=(101 + rank, 105)))
    memory.epoch_ended()
    assert memory.marks is not None
    return {"marks": torch.from_numpy(memory.marks)}


@pytest.mark.slow
def test_processes_put_their_marks_together(tmp_path: Path) -> None:
    first, second = (found["marks"] for found in in_two_processes(_work, tmp_path))
    assert torch.equal(first, second)
    assert first.any(2).any(1).tolist() == [False, True, True, False, False, True, False, False]
    assert first[:, [0, 5], [0, 5]].tolist()[1:3] == [[True, False], [False, True]]
    assert first[5, [0, 5], [0, 5]].tolist() == [True, True]
