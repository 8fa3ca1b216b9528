"""The pictures of a window, decoded no larger than their samples need them. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from sanderling.data.augment import AugmentConfig
from sanderling.pictures import Picture, decode, jpeg_reduction, place
from sanderling.structures.artefact import PictureRule


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Source:
    """A decoded picture, the size of its original, and original pixels per decoded pixel."""

    picture: Picture
    original_hw: tuple[int, int]
    reduction_xy: tuple[float, float]


def decode_source(path: Path, stated_hw: tuple[int, int], rule: PictureRule, augment: AugmentConfig) -> Source:
    """Decode a picture no larger than its samples need it.

    Args:
        path: the file.
        stated_hw: height and width by the label file, (0, 0) where not known.
        rule: the largest input size, and how a picture is fitted to it.
        augment: how pictures are varied.

    Raises:
        DataError: it cannot be decoded.
    """
    if min(stated_hw) > 0:
        wanted_hw = _wanted(stated_hw, rule, augment)
        picture = decode(path, smallest_hw=wanted_hw)
        reduction = max(1, round(stated_hw[0] / picture.shape[0]))
        if picture.shape[:2] == (-(-stated_hw[0] // reduction), -(-stated_hw[1] // reduction)):
            return _shrunk(picture, stated_hw, reduction, wanted_hw)
    # The size is not known, or the label file is wrong about it: the picture itself tells.
    picture = decode(path)
    original_hw = (picture.shape[0], picture.shape[1])
    return _shrunk(picture, original_hw, 1, _wanted(original_hw, rule, augment))


def decoded_size(stated_hw: tuple[int, int], suffix: str, rule: PictureRule, augment: AugmentConfig) -> tuple[int, int]:
    """Height and width that a picture of a stated size and file name suffix is kept at, (0, 0) where nobody knows."""
    if min(stated_hw) <= 0:
        return 0, 0
    wanted_hw = _wanted(stated_hw, rule, augment)
    reduction = jpeg_reduction(stated_hw, wanted_hw) if suffix.lower() in {".jpg", ".jpeg"} else 1
    height, width = (-(-side // reduction) for side in stated_hw)
    factor = max(1, min(height // wanted_hw[0], width // wanted_hw[1]))
    return height // factor, width // factor


def stand_ins(sources: Sequence[Source | None]) -> list[int]:
    """For each of the window's pictures itself, or the next one (around the end) that could be read."""
    count = len(sources)
    return [
        next(index % count for index in range(first, first + count) if sources[index % count] is not None)
        for first in range(count)
    ]


def _wanted(original_hw: tuple[int, int], rule: PictureRule, augment: AugmentConfig) -> tuple[int, int]:
    """Height and width below which a picture loses detail that its samples may show."""
    cropped = 1.0 if augment.crop is None else augment.crop.scale[0]
    enlarge = min(augment.detail, augment.scale[1] * augment.stretch[1] / cropped)
    (scale_x, _, _), (_, scale_y, _) = place(original_hw, rule).matrix.tolist()
    height, width = original_hw
    return max(1, round(height * scale_y * enlarge)), max(1, round(width * scale_x * enlarge))


def _shrunk(picture: Picture, original_hw: tuple[int, int], reduction: int, wanted_hw: tuple[int, int]) -> Source:
    """Average whole pixels together where there are still too many, so that a window of large PNGs stays small."""
    height, width = picture.shape[:2]
    factor = min(height // wanted_hw[0], width // wanted_hw[1])
    if factor < 2:
        return Source(picture=picture, original_hw=original_hw, reduction_xy=(reduction, reduction))
    smaller = cv2.resize(picture, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return Source(
        picture=np.asarray(smaller, np.uint8),
        original_hw=original_hw,
        reduction_xy=(reduction * width / smaller.shape[1], reduction * height / smaller.shape[0]),
    )
