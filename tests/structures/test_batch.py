from __future__ import annotations

import torch

from sanderling.structures.batch import Batch, Targets


def _targets() -> Targets:
    return Targets(
        boxes_xyxy=torch.arange(12.0).view(3, 4),
        labels=torch.tensor([4, 5, 6]),
        weights=torch.tensor([1.0, 0.5, 0.25]),
        picture_index=torch.tensor([0, 2, 2]),
        pictures=3,
    )


def test_the_targets_of_one_picture_are_a_batch_of_one() -> None:
    targets = _targets()
    last = targets.of(2)
    assert last.labels.tolist() == [5, 6]
    assert last.weights.tolist() == [0.5, 0.25]
    assert last.boxes_xyxy.tolist() == targets.boxes_xyxy[1:].tolist()
    assert last.picture_index.tolist() == [0, 0]
    assert last.pictures == 1


def test_a_picture_without_boxes_has_empty_targets() -> None:
    empty = _targets().of(1)
    assert empty.boxes_xyxy.shape == (0, 4)
    assert empty.labels.dtype == torch.int64
    assert empty.pictures == 1


def test_everything_moves_to_the_device() -> None:
    batch = Batch(images=torch.zeros(3, 3, 8, 16, dtype=torch.uint8), targets=_targets(), picture_ids=(1, "b", 3))
    moved = batch.to("meta")
    for tensor in (
        moved.images,
        moved.targets.boxes_xyxy,
        moved.targets.labels,
        moved.targets.weights,
        moved.targets.picture_index,
    ):
        assert tensor.device.type == "meta"
    assert moved.picture_ids == (1, "b", 3)
    assert moved.targets.pictures == 3
