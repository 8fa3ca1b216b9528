"""Boxes as NumPy arrays. Axes: N, M boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.floating]


def area(boxes_xyxy: Boxes) -> NDArray[np.floating]:
    """Areas (N) of boxes (N, 4); a box turned inside out has area 0."""
    sides = np.clip(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0, None)
    return np.asarray(sides[:, 0] * sides[:, 1])


def intersection(first_xyxy: Boxes, second_xyxy: Boxes) -> NDArray[np.floating]:
    """Intersection areas (N, M) of every box of the first with every box of the second."""
    corner = np.maximum(first_xyxy[:, None, :2], second_xyxy[None, :, :2])
    sides = np.minimum(first_xyxy[:, None, 2:], second_xyxy[None, :, 2:]) - corner
    np.clip(sides, 0, None, out=sides)
    return np.asarray(sides[..., 0] * sides[..., 1])


def iou(first_xyxy: Boxes, second_xyxy: Boxes) -> NDArray[np.floating]:
    """Intersection over union (N, M); 0 where both boxes are empty."""
    shared = intersection(first_xyxy, second_xyxy)
    union = area(first_xyxy)[:, None] + area(second_xyxy)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def xywh_to_xyxy(boxes_xywh: Boxes) -> Boxes:
    """Corner and size (N, 4) to two corners."""
    return np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)


def xyxy_to_xywh(boxes_xyxy: Boxes) -> Boxes:
    """Two corners (N, 4) to corner and size."""
    return np.concatenate([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], axis=1)


def clip(boxes_xyxy: Boxes, size_hw: tuple[int, int]) -> Boxes:
    """Boxes (N, 4) cut to a picture of that height and width."""
    height, width = size_hw
    return np.clip(boxes_xyxy, 0, np.array([width, height, width, height], boxes_xyxy.dtype))
