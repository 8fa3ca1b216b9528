"""Where every source picture lands in its sample: one affine map each, and the boxes that follow it.

No step rotates, so a map is kept as its diagonal and its offset: `target = source * scale + offset` per axis, in edge
coordinates (the left edge of the first pixel is 0). `snap` moves each map by less than a source pixel so that whole
source pixels land on whole target pixels: then `cv2.resize` of a crop is the exact warp, four times as fast as
`cv2.warpAffine`, and may average where it shrinks. Axes: K tiles (a source picture in a sample), T boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sanderling.pictures import Picture

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tiles:
    """K source pictures in their samples, samples ascending.

    Attributes:
        sample: int64 K, which sample.
        source: int64 K, which picture of the window.
        scale_xy: float64 Kx2, original pixels to pixels of the sample (before the mirror).
        offset_xy: float64 Kx2, pixels of the sample.
        limits_xyxy: float64 Kx4, the part of the sample that the tile may fill.
    """

    sample: Ints
    source: Ints
    scale_xy: Floats
    offset_xy: Floats
    limits_xyxy: Floats


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pasting:
    """What `paste` does for each of K tiles.

    Attributes:
        crops_xyxy: int64 Kx4, pixels of the decoded picture.
        targets_xyxy: int64 Kx4, pixels of the sample (before the mirror); nothing to paste where width or height is 0.
        scale_xy: float64 Kx2, original pixels to pixels of the sample, exactly as pasted.
        offset_xy: float64 Kx2.
    """

    crops_xyxy: Ints
    targets_xyxy: Ints
    scale_xy: Floats
    offset_xy: Floats


def snap(tiles: Tiles, *, original_xy: Floats, decoded_xy: Ints, reduction_xy: Floats) -> Pasting:
    """Cut each tile to what is seen of it and move it onto whole pixels.

    Args:
        tiles: K tiles.
        original_xy: Kx2, width and height of the original picture.
        decoded_xy: Kx2, width and height of the decoded picture.
        reduction_xy: Kx2, original pixels per decoded pixel.
    """
    begin, end = tiles.offset_xy, tiles.offset_xy + tiles.scale_xy * original_xy
    limits = tiles.limits_xyxy
    target_begin = np.rint(np.clip(begin, limits[:, :2], limits[:, 2:]))
    target_end = np.rint(np.clip(end, limits[:, :2], limits[:, 2:]))
    per_decoded = tiles.scale_xy * reduction_xy
    crop_begin = np.clip(np.rint((target_begin - begin) / per_decoded), 0, decoded_xy - 1)
    crop_end = np.clip(np.rint((target_end - begin) / per_decoded), crop_begin + 1, decoded_xy)
    per_decoded = (target_end - target_begin) / (crop_end - crop_begin)
    return Pasting(
        crops_xyxy=np.concatenate([crop_begin, crop_end], axis=1).astype(np.int64),
        targets_xyxy=np.concatenate([target_begin, target_end], axis=1).astype(np.int64),
        scale_xy=per_decoded / reduction_xy,
        offset_xy=target_begin - per_decoded * crop_begin,
    )


def paste(picture: Picture, crop_xyxy: list[int], image: Picture, target_xyxy: list[int]) -> None:
    """Resize a crop of `picture` straight into its place of `image`, both uint8 HxWx3."""
    left, top, right, bottom = crop_xyxy
    to_left, to_top, to_right, to_bottom = target_xyxy
    width, height = to_right - to_left, to_bottom - to_top
    # Two source pixels or more per target pixel: averaging, as linear interpolation would skip some.
    shrinks = right - left >= 2 * width and bottom - top >= 2 * height
    cv2.resize(
        picture[top:bottom, left:right],
        (width, height),
        dst=image[to_top:to_bottom, to_left:to_right],
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MovedBoxes:
    """T boxes of N samples, samples ascending.

    Attributes:
        boxes_xyxy: float32 Tx4, pixels of the sample.
        source_box: int64 T, which of the window's boxes each was.
        sample: int64 T.
    """

    boxes_xyxy: NDArray[np.float32]
    source_box: Ints
    sample: Ints


def move_boxes(
    tiles: Tiles,
    pasting: Pasting,
    boxes_xyxy: Floats,
    *,
    begin: Ints,
    counts: Ints,
    flip: NDArray[np.bool_],
    width: int,
    min_visible: float,
    min_side: float,
) -> MovedBoxes:
    """Move the boxes of each tile's picture, clip them to the tile, drop those of which too little is left.

    Args:
        tiles: K tiles.
        pasting: what was pasted for them.
        boxes_xyxy: all boxes of the window's pictures, original pixels.
        begin: int64 N, where the boxes of each of the window's pictures begin.
        counts: int64 N, how many they are.
        flip: bool N, samples that are mirrored.
        width: of a sample, in pixels.
        min_visible: smallest share of a box's area to be left.
        min_side: shortest side to be left, pixels of the sample.
    """
    boxes_of = counts[tiles.source]
    tile = np.repeat(np.arange(len(boxes_of)), boxes_of)
    within = np.arange(len(tile)) - np.repeat(np.cumsum(boxes_of) - boxes_of, boxes_of)
    source_box = begin[tiles.source][tile] + within
    scale, offset = pasting.scale_xy[tile], pasting.offset_xy[tile]
    moved = boxes_xyxy[source_box].reshape(-1, 2, 2) * scale[:, None] + offset[:, None]
    targets = pasting.targets_xyxy[tile].reshape(-1, 2, 2)
    seen = np.clip(moved, targets[:, :1], targets[:, 1:])
    sides, seen_sides = moved[:, 1] - moved[:, 0], seen[:, 1] - seen[:, 0]
    area, seen_area = sides[:, 0] * sides[:, 1], seen_sides[:, 0] * seen_sides[:, 1]
    kept = (seen_sides >= min_side).all(axis=1) & (seen_area >= min_visible * area) & (seen_area > 0)
    boxes, sample = seen.reshape(-1, 4)[kept], tiles.sample[tile][kept]
    mirrored = flip[sample]
    boxes[mirrored] = boxes[mirrored][:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (width, 0, width, 0)
    return MovedBoxes(boxes_xyxy=boxes.astype(np.float32), source_box=source_box[kept], sample=sample)
