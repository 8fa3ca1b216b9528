from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from sanderling.data.augment import AugmentConfig
from sanderling.data.loader import TrainingLoader
from sanderling.data.stitcher import stitch
from sanderling.structures.artefact import PictureRule
from sanderling.structures.batch import Batch, Targets
from tests.support.painted_sets import painted_boxes, painted_set
from tests.support.training import random_batch

SIZES = [(61, 83), (120, 47), (97, 161), (48, 80), (64, 96)]


def _slow_pixels(batch: Batch, sample: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Pixel by pixel, in fractions."""
    pictures, _, height, width = batch.images.shape
    made = np.zeros((3, height, width), np.uint8)
    for y, x in itertools.product(range(height), range(width)):
        tile = (y >= height // 2) * 2 + (x >= width // 2)
        source = batch.images[(sample + tile) % pictures].numpy().astype(int)
        top, left = 2 * (y % (height // 2)), 2 * (x % (width // 2))
        four = source[:, top : top + 2, left : left + 2].sum(axis=(1, 2))
        made[:, y, x] = np.floor(four / 4 + 0.5)
    return made


@pytest.mark.parametrize("pictures", [1, 3, 5])
def test_pixels_are_means_of_four(pictures: int) -> None:
    batch = random_batch(pictures, size_hw=(10, 14))
    stitched = stitch(batch, min_side=0)
    assert (stitched.images.shape, stitched.images.dtype) == (batch.images.shape, torch.uint8)
    for sample in range(pictures):
        assert (stitched.images[sample].numpy() == _slow_pixels(batch, sample)).all()


def test_the_layout_of_memory_changes_nothing_but_the_speed() -> None:
    batch = random_batch(3, size_hw=(32, 64))
    lying = dataclasses.replace(batch, images=batch.images.contiguous(memory_format=torch.channels_last))
    before = batch.images.clone()
    stitched = [stitch(each, min_side=0).images for each in (batch, lying)]
    assert torch.equal(*stitched)
    assert all(images.is_contiguous(memory_format=torch.channels_last) for images in stitched)
    assert torch.equal(batch.images, before)


def test_boxes_are_where_their_colours_are(tmp_path: Path) -> None:
    # Whole pictures as they are, so that every box is painted in full.
    loader = TrainingLoader(
        painted_set(tmp_path, SIZES, empty=[1]),
        picture=PictureRule(size_hw=(64, 96), pad_value=0),
        augment=AugmentConfig.none(),
        batch=5,
        seed=3,
    )
    (batch,) = loader.epoch(0)
    stitched = stitch(batch, min_side=2)
    assert stitched.picture_ids == batch.picture_ids
    checked = 0
    for sample in range(5):
        targets = stitched.targets.of(sample)
        shown = painted_boxes(stitched.images[sample].permute(1, 2, 0).numpy())
        assert sorted(shown) == sorted(targets.labels.tolist())
        for label, box in zip(targets.labels.tolist(), targets.boxes_xyxy.numpy(), strict=True):
            assert np.abs(np.array(shown[label]) - box).max() <= 1
            checked += 1
    # Four pictures with two boxes, each in four samples.
    assert checked == 4 * 2 * 4


def test_targets_are_those_of_the_pictures_by_sample() -> None:
    batch = random_batch(5, size_hw=(64, 96))
    weighted = dataclasses.replace(batch.targets, weights=torch.linspace(0.1, 1, len(batch.targets.labels)))
    stitched = stitch(dataclasses.replace(batch, targets=weighted), min_side=0).targets
    assert (stitched.picture_index.diff() >= 0).all()
    assert stitched.pictures == 5
    for sample in range(5):
        boxes, labels, weights = [], [], []
        for tile, corner in enumerate([(0, 0), (48, 0), (0, 32), (48, 32)]):
            source = weighted.of((sample + tile) % 5)
            boxes.append(source.boxes_xyxy / 2 + torch.tensor(corner * 2))
            labels.append(source.labels)
            weights.append(source.weights)
        found = stitched.of(sample)
        assert torch.equal(found.boxes_xyxy, torch.cat(boxes))
        assert torch.equal(found.labels, torch.cat(labels))
        assert torch.equal(found.weights, torch.cat(weights))


def test_boxes_that_get_too_short_are_dropped() -> None:
    batch = random_batch(1, size_hw=(64, 64))
    targets = Targets(
        boxes_xyxy=torch.tensor([[0.0, 0, 4, 40], [0, 0, 3.9, 40], [0, 0, 40, 3]]),
        labels=torch.tensor([0, 1, 2]),
        weights=torch.ones(3),
        picture_index=torch.zeros(3, dtype=torch.int64),
        pictures=1,
    )
    stitched = stitch(dataclasses.replace(batch, targets=targets), min_side=2)
    assert stitched.targets.labels.tolist() == [0] * 4


def test_a_batch_without_boxes() -> None:
    targets = dataclasses.replace(
        random_batch(2).targets,
        boxes_xyxy=torch.zeros(0, 4),
        labels=torch.zeros(0, dtype=torch.int64),
        weights=torch.zeros(0),
        picture_index=torch.zeros(0, dtype=torch.int64),
    )
    stitched = stitch(dataclasses.replace(random_batch(2), targets=targets), min_side=2)
    assert stitched.targets.boxes_xyxy.shape == (0, 4)
    assert stitched.targets.pictures == 2


def test_nobody_can_say_where_a_picture_lies() -> None:
    placements = stitch(random_batch(2), min_side=2).placements
    assert placements is not None
    assert placements.shape == (2, 2, 3)
    assert placements.isnan().all()
