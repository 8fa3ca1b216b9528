"""Splits of random objects with random detections: what the tests of metrics are made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.dataset import Dataset
from sanderling.structures.detections import Detections

Box = tuple[float, float, float, float]


def split_of(
    pictures: Sequence[Sequence[tuple[int, Box]]],
    class_names: tuple[str, ...] = ("fire", "smoke"),
    *,
    crowd: Sequence[int] = (),
    difficult: Sequence[int] = (),
) -> Dataset:
    """A split without files: per picture (label, box_xyxy); `crowd` and `difficult` number all boxes."""
    counts = [len(boxes) for boxes in pictures]
    boxes_xyxy = np.array([box for boxes in pictures for _, box in boxes], np.float64).reshape(-1, 4)
    total = len(boxes_xyxy)
    return Dataset(
        name="made up",
        split="val",
        class_names=class_names,
        # Category and picture ids with gaps and not in order of size: nothing may take them for indices.
        category_ids=tuple(90 - 7 * label for label in range(len(class_names))),
        picture_paths=np.array([f"picture{index}.jpg" for index in range(len(pictures))], np.str_),
        picture_ids=np.array([1000 - 3 * index for index in range(len(pictures))], np.int64),
        sizes_hw=np.tile(np.array([[480, 640]], np.int32), (len(pictures), 1)),
        first_box=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes_xyxy=boxes_xyxy,
        areas=(boxes_xyxy[:, 2] - boxes_xyxy[:, 0]) * (boxes_xyxy[:, 3] - boxes_xyxy[:, 1]),
        labels=np.array([label for boxes in pictures for label, _ in boxes], np.int64),
        crowd=np.isin(np.arange(total), list(crowd)),
        difficult=np.isin(np.arange(total), list(difficult)),
    )


def found_of(rows: Sequence[tuple[int, float, Box]], class_names: tuple[str, ...] = ("fire", "smoke")) -> Detections:
    """Detections of one picture from (label, score, box_xyxy)."""
    return Detections(
        boxes_xyxy=np.array([box for _, _, box in rows], np.float32).reshape(-1, 4),
        scores=np.array([score for _, score, _ in rows], np.float32),
        labels=np.array([label for label, _, _ in rows], np.int64),
        class_names=class_names,
    )


def random_split(
    seed: int, *, pictures: int = 40, classes: int = 6, coarse: bool = False
) -> tuple[Dataset, list[Detections]]:
    """Objects with crowd regions and difficult ones, and detections that are near, double, false or of another class.

    The last class has no objects, the one before no detections, and every fifth picture is empty on one side or both.

    Args:
        seed: of everything.
        pictures: how many.
        classes: how many, at least 3.
        coarse: whole pixels and scores of one decimal: many exact ties of scores and overlaps.
    """
    rng = np.random.default_rng(seed)
    names = tuple(f"class {label}" for label in range(classes))
    objects: list[list[tuple[int, Box]]] = []
    detections = []
    for picture in range(pictures):
        count = 0 if picture % 5 == 3 else int(rng.integers(0, 9))
        own = [(int(rng.integers(0, classes - 1)), _box(rng, coarse)) for _ in range(count)]
        rows = [_near(rng, *entry, classes, coarse) for entry in own for _ in range(int(rng.integers(0, 4)))]
        rows += [(int(rng.integers(0, classes)), _score(rng, coarse), _box(rng, coarse)) for _ in range(9)]
        rows = [row for row in rows if row[0] != classes - 2]
        objects.append(own)
        detections.append(found_of([] if picture % 5 == 4 else rows, names))
    total = sum(len(own) for own in objects)
    crowd, difficult = np.flatnonzero(rng.random(total) < 0.1), np.flatnonzero(rng.random(total) < 0.1)
    dataset = split_of(objects, names, crowd=crowd.tolist(), difficult=difficult.tolist())
    return dataset, detections


def _box(rng: np.random.Generator, coarse: bool) -> Box:
    sides = np.exp(rng.normal(4, 1, 2)).clip(4, 400)
    corner = rng.random(2) * (np.array([640, 480]) - sides)
    return _rounded(np.concatenate([corner, corner + sides]), coarse)


def _near(rng: np.random.Generator, label: int, box: Box, classes: int, coarse: bool) -> tuple[int, float, Box]:
    side = max(box[2] - box[0], box[3] - box[1])
    moved = np.sort((np.array(box) + rng.normal(0, 0.08 * side, 4)).reshape(2, 2), axis=0).reshape(4)
    other = int(rng.integers(0, classes)) if rng.random() < 0.1 else label
    return other, _score(rng, coarse), _rounded(moved, coarse)


def _score(rng: np.random.Generator, coarse: bool) -> float:
    return float(rng.random().__round__(1 if coarse else 6))


def _rounded(box: NDArray[np.float64], coarse: bool) -> Box:
    left, top, right, bottom = (box.round() if coarse else box).astype(np.float32).tolist()
    return left, top, right, bottom
