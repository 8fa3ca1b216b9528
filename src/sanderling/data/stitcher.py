"""Stitcher: a batch whose samples are put together from four of its pictures at half their size.

https://arxiv.org/abs/2004.12432. Objects become small without another picture being read, so whoever draws the batches
need not know. Axes: B samples, T boxes.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sanderling.structures.batch import Batch, Targets


def stitch(batch: Batch, *, min_side: float) -> Batch:
    """Make sample i of the samples i, i + 1 (at its right), i + 2 (below) and i + 3, counted on from the last to the
    first. Every picture is then in four samples, each time in another corner.

    A pixel is the mean of 2x2 pixels, halves rounded up. A sample goes by the id of its first picture and has no
    placement, as it shows several.

    Args:
        batch: on the CPU; images uint8 Bx3xHxW, H and W even (every input size is: it is a multiple of a stride). They
            are left as they are, and the new ones lie in channels_last memory.
        min_side: a box is dropped when a side of it gets shorter, in pixels.

    >>> from sanderling.structures.batch import Targets
    >>> nothing = Targets(
    ...     boxes_xyxy=torch.empty(0, 4),
    ...     labels=torch.empty(0, dtype=torch.int64),
    ...     weights=torch.empty(0),
    ...     picture_index=torch.empty(0, dtype=torch.int64),
    ...     pictures=1,
    ... )
    >>> images = torch.tensor([[1, 2, 5, 5], [3, 4, 5, 5]], dtype=torch.uint8).expand(1, 3, 2, 4)
    >>> stitch(Batch(images=images, targets=nothing, picture_ids=(1,)), min_side=2).images[0, 0].tolist()
    [[3, 5, 3, 5], [3, 5, 3, 5]]
    """
    height, width = batch.images.shape[-2:]
    halves = _halved(batch.images.permute(0, 2, 3, 1).numpy())
    stitched = torch.empty((len(halves), height, width, 3), dtype=torch.uint8)
    corners_xy = [(left, top) for top in (0, height // 2) for left in (0, width // 2)]
    for tile, (left, top) in enumerate(corners_xy):
        stitched[:, top : top + height // 2, left : left + width // 2] = halves.roll(-tile, dims=0)
    return Batch(
        images=stitched.permute(0, 3, 1, 2),
        targets=_stitched_targets(batch.targets, corners_xy, min_side=min_side),
        picture_ids=batch.picture_ids,
        placements=torch.full((len(halves), 2, 3), torch.nan),
    )


def _halved(images: NDArray[np.uint8]) -> Tensor:
    """Means of 2x2 pixels of BxHxWx3."""
    pictures, height, width, _ = images.shape
    halves = np.empty((pictures, height // 2, width // 2, 3), np.uint8)
    for image, half in zip(images, halves, strict=True):
        # By whole numbers and exact at this scale.
        cv2.resize(image, (width // 2, height // 2), dst=half, interpolation=cv2.INTER_AREA)
    return torch.from_numpy(halves)


def _stitched_targets(targets: Targets, corners_xy: list[tuple[int, int]], *, min_side: float) -> Targets:
    tiles = len(corners_xy)
    halves = targets.boxes_xyxy / 2
    boxes_xyxy = torch.cat([halves + halves.new_tensor(corner).repeat(2) for corner in corners_xy])
    samples = torch.cat([(targets.picture_index - tile) % targets.pictures for tile in range(tiles)])
    kept = ((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) >= min_side).all(1).nonzero()[:, 0]
    order = kept[samples[kept].argsort(stable=True)]
    return Targets(
        boxes_xyxy=boxes_xyxy[order],
        labels=targets.labels.repeat(tiles)[order],
        weights=targets.weights.repeat(tiles)[order],
        picture_index=samples[order],
        pictures=targets.pictures,
    )
