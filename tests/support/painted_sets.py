"""Data sets whose pictures tell where their boxes are: each box is filled with a colour that no other box has.

Outside the boxes a picture is black; inside red is 255, and green and blue tell which box it is. Interpolation at an
edge darkens all three alike, so every pixel still tells whose it is, and half the red marks the edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.dataset import Dataset

LEVELS = 8
STEP = 255 // (LEVELS - 1)
CLASSES = LEVELS * LEVELS


def painted_set(
    folder: Path,
    sizes_hw: Sequence[tuple[int, int]],
    *,
    suffix: str = ".png",
    empty: Sequence[int] = (),
    crowd: Sequence[int] = (),
    difficult: Sequence[int] = (),
) -> Dataset:
    """Write pictures with up to two boxes each; the label of every box is its own, and says its colour.

    Args:
        folder: where the pictures go.
        sizes_hw: height and width of each; at most 32 pictures.
        suffix: .png keeps the colours exactly.
        empty: pictures without a box.
        crowd: boxes (by label) that are crowd regions.
        difficult: boxes (by label) that are difficult.
    """
    rng = np.random.default_rng(len(sizes_hw))
    folder.mkdir(parents=True, exist_ok=True)
    boxes: list[tuple[int, int, int, int]] = []
    labels: list[int] = []
    first_box, paths = [0], []
    for index, (height, width) in enumerate(sizes_hw):
        image = np.zeros((height, width, 3), np.uint8)
        for half in range(0 if index in empty else 2):
            # One box in the left half, one in the right, so that they never touch.
            left = half * width // 2 + int(rng.integers(1, max(2, width // 8)))
            right = (half + 1) * width // 2 - int(rng.integers(1, max(2, width // 8)))
            top, bottom = int(rng.integers(0, height // 3)), height - int(rng.integers(0, height // 3))
            label = 2 * index + half
            image[top:bottom, left:right] = colour_of(label)
            boxes.append((left, top, right, bottom))
            labels.append(label)
        path = folder / f"{index:02d}{suffix}"
        cv2.imwrite(str(path), image[:, :, ::-1])
        paths.append(str(path))
        first_box.append(len(labels))
    boxes_xyxy = np.array(boxes, np.float64).reshape(-1, 4)
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return Dataset(
        name=folder.name,
        split="train",
        class_names=tuple(f"box{label}" for label in range(CLASSES)),
        category_ids=tuple(range(CLASSES)),
        picture_paths=np.array(paths, np.str_),
        picture_ids=np.arange(len(paths)) + 100,
        sizes_hw=np.array(sizes_hw, np.int32).reshape(-1, 2),
        first_box=np.array(first_box, np.int64),
        boxes_xyxy=boxes_xyxy,
        areas=sides[:, 0] * sides[:, 1],
        labels=np.array(labels, np.int64),
        crowd=np.isin(labels, crowd),
        difficult=np.isin(labels, difficult),
    )


def colour_of(label: int) -> tuple[int, int, int]:
    """The RGB colour that fills a box."""
    return 255, label // LEVELS * STEP, label % LEVELS * STEP


def painted_labels(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Which box each pixel of a uint8 HxWx3 picture belongs to, int64 HxW; -1 for none."""
    inside = image[:, :, 0] >= 128
    colours = image[inside].astype(np.float64)
    digits = np.rint(colours[:, 1:] / colours[:, :1] * 255 / STEP).astype(np.int64)
    labels = np.full(inside.shape, -1, np.int64)
    labels[inside] = digits[:, 0] * LEVELS + digits[:, 1]
    return labels


def painted_boxes(image: NDArray[np.uint8]) -> Mapping[int, tuple[int, int, int, int]]:
    """The boxes that the pixels of a uint8 HxWx3 picture show: label to left, top, right, bottom."""
    labels = painted_labels(image)
    rows, columns = np.nonzero(labels >= 0)
    labels = labels[rows, columns]
    # All pixels of a box side by side.
    order = np.argsort(labels, kind="stable")
    rows, columns, labels = rows[order], columns[order], labels[order]
    first = np.flatnonzero(np.diff(labels, prepend=-1))
    if not len(first):
        return {}
    low = [np.minimum.reduceat(places, first) for places in (columns, rows)]
    high = [np.maximum.reduceat(places, first) + 1 for places in (columns, rows)]
    sides = np.stack([*low, *high], axis=1).tolist()
    return {label: tuple(box) for label, box in zip(labels[first].tolist(), sides, strict=True)}
