"""Where every source picture lands in its sample: one affine map each, and the boxes that follow it.

Maps are float64 2x3 in edge coordinates (the left edge of the first pixel is 0). `snap` moves each map that neither
turns nor shears by less than a source pixel so that whole source pixels land on whole target pixels: then `cv2.resize`
of a crop is the exact warp, four times as fast as `cv2.warpAffine`, and may average where it shrinks. Axes: K tiles
(a source picture in a sample), T boxes.
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
        turns: float64 Kx2x3, what follows scale and offset: a turn or shear of the sample's plane.
        tilted: bool K, whether it is one; where it is not, `turns` is not looked at.
    """

    sample: Ints
    source: Ints
    scale_xy: Floats
    offset_xy: Floats
    limits_xyxy: Floats
    turns: Floats
    tilted: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pasting:
    """What `paste` or `warp` does for each of K tiles.

    Attributes:
        crops_xyxy: int64 Kx4, pixels of the decoded picture, for `paste`.
        targets_xyxy: int64 Kx4, pixels of the sample (before the mirror); nothing to paste where width or height is 0.
        matrices: float64 Kx2x3, original pixels to pixels of the sample, exactly as pasted.
    """

    crops_xyxy: Ints
    targets_xyxy: Ints
    matrices: Floats


def snap(tiles: Tiles, *, original_xy: Floats, decoded_xy: Ints, reduction_xy: Floats) -> Pasting:
    """Cut each tile to what is seen of it; those that are not tilted move onto whole pixels.

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
    matrices = _straight(per_decoded / reduction_xy, target_begin - per_decoded * crop_begin)
    targets_xyxy = np.concatenate([target_begin, target_end], axis=1).astype(np.int64)
    if tiles.tilted.any():
        tilted = tiles.tilted
        matrices[tilted] = _then(_straight(tiles.scale_xy, tiles.offset_xy)[tilted], tiles.turns[tilted])
        whole = np.concatenate([np.zeros_like(original_xy), original_xy], axis=1)[tilted]
        low, high = hulls(whole, matrices[tilted]).reshape(-1, 2, 2).transpose(1, 0, 2)
        targets_xyxy[tilted, :2] = np.clip(np.floor(low), np.rint(limits[tilted, :2]), np.rint(limits[tilted, 2:]))
        targets_xyxy[tilted, 2:] = np.clip(np.ceil(high), np.rint(limits[tilted, :2]), np.rint(limits[tilted, 2:]))
    return Pasting(
        crops_xyxy=np.concatenate([crop_begin, crop_end], axis=1).astype(np.int64),
        targets_xyxy=targets_xyxy,
        matrices=matrices,
    )


def _straight(scale_xy: Floats, offset_xy: Floats) -> Floats:
    """Maps Kx2x3 that neither turn nor shear."""
    matrices = np.zeros((len(scale_xy), 2, 3))
    matrices[:, [0, 1], [0, 1]] = scale_xy
    matrices[:, :, 2] = offset_xy
    return matrices


def _then(first: Floats, second: Floats) -> Floats:
    """Maps Kx2x3 that do one after the other."""
    together = second[:, :, :2] @ first
    together[:, :, 2] += second[:, :, 2]
    return together


def hulls(boxes_xyxy: Floats, matrices: Floats) -> Floats:
    """The smallest upright boxes (T, 4) around boxes (T, 4) that each went through its map (T, 2, 3)."""
    corners = boxes_xyxy[:, [[0, 2, 0, 2], [1, 1, 3, 3]]]
    moved = matrices[:, :, :2] @ corners + matrices[:, :, 2:]
    return np.concatenate([moved.min(axis=2), moved.max(axis=2)], axis=1)


def seen_hulls(boxes_xyxy: Floats, matrices: Floats, windows_xyxy: NDArray[np.floating | np.integer]) -> Floats:
    """The smallest upright boxes (T, 4) around what is seen of moved boxes through windows (T, 4).

    Where nothing is seen the box is a point. What is seen is a convex polygon, whose corners are corners of the moved
    box, corners of the window, or crossings of their sides.
    """
    corners = (matrices[:, :, :2] @ boxes_xyxy[:, [[0, 2, 2, 0], [1, 1, 3, 3]]] + matrices[:, :, 2:]).transpose(0, 2, 1)
    low, high = (windows_xyxy.reshape(-1, 2, 2).astype(np.float64)[:, None, end] for end in (0, 1))
    points, valid = [corners], [((corners >= low) & (corners <= high)).all(axis=2)]

    along = np.roll(corners, -1, axis=1) - corners
    for axis, line in ((0, low), (0, high), (1, low), (1, high)):
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (line[:, :, axis] - corners[:, :, axis]) / along[:, :, axis]
            crossing = corners + share[:, :, None] * along
        across = 1 - axis
        crossing[:, :, axis] = line[:, :, axis]
        within = (crossing[:, :, across] >= low[:, :, across]) & (crossing[:, :, across] <= high[:, :, across])
        points.append(crossing)
        valid.append((share >= 0) & (share <= 1) & within)

    window_corners = windows_xyxy.astype(np.float64)[:, [[0, 2, 2, 0], [1, 1, 3, 3]]]
    back = np.linalg.inv(matrices[:, :, :2]) @ (window_corners - matrices[:, :, 2:])
    inside = (back >= boxes_xyxy[:, :2, None]) & (back <= boxes_xyxy[:, 2:, None])
    points.append(window_corners.transpose(0, 2, 1))
    valid.append(inside.all(axis=1))

    seen, every = np.concatenate(valid, axis=1)[:, :, None], np.concatenate(points, axis=1)
    found = np.concatenate(
        [np.where(seen, every, np.inf).min(axis=1), np.where(seen, every, -np.inf).max(axis=1)], axis=1
    )
    return np.where(np.isfinite(found).all(axis=1, keepdims=True), found, np.tile(low[:, 0], 2))


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


def warp(picture: Picture, matrix: Floats, image: Picture, target_xyxy: list[int]) -> None:
    """Warp `picture` into its place of `image`, both uint8 HxWx3; what it does not reach stays as it is.

    Args:
        picture: the decoded picture.
        matrix: 2x3, its pixels to pixels of `image`, edge coordinates.
        image: the sample.
        target_xyxy: the part of the sample that may be written to.
    """
    left, top, right, bottom = target_xyxy
    shrink = int(1 / np.sqrt(abs(np.linalg.det(matrix[:, :2])) + 1e-12))
    if shrink >= 2:
        # Averaging first, as linear interpolation would skip pixels.
        height, width = picture.shape[:2]
        size = max(1, width // shrink), max(1, height // shrink)
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = matrix * (width / size[0], height / size[1], 1)
    # OpenCV counts from the middle of the first pixel.
    centred = matrix.copy()
    centred[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5 - (left, top)
    cv2.warpAffine(
        picture,
        centred,
        (right - left, bottom - top),
        dst=image[top:bottom, left:right],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Outlines:
    """What T moved boxes really cover: parallelograms, as far as they are within windows.

    Attributes:
        matrices: float64 Tx2x3, the unit square to pixels of the sample.
        windows_xyxy: float64 Tx4, pixels of the sample.
    """

    matrices: Floats
    windows_xyxy: Floats

    def __getitem__(self, chosen: Ints) -> Outlines:
        """Some of them."""
        return Outlines(matrices=self.matrices[chosen], windows_xyxy=self.windows_xyxy[chosen])

    def within(self, windows_xyxy: Floats) -> Floats:
        """The smallest upright boxes (T, 4) around what is seen of each within its window and a further one (T, 4)."""
        own = self.windows_xyxy
        low, high = (np.clip(windows_xyxy[:, end], own[:, :2], own[:, 2:]) for end in (slice(2), slice(2, 4)))
        unit_squares = np.tile([0.0, 0.0, 1.0, 1.0], (len(own), 1))
        return seen_hulls(unit_squares, self.matrices, np.concatenate([low, high], axis=1))


def upright(boxes_xyxy: NDArray[np.floating]) -> Outlines:
    """The outlines of boxes (T, 4) that were neither turned nor cut."""
    boxes = boxes_xyxy.astype(np.float64)
    return Outlines(matrices=_straight(boxes[:, 2:] - boxes[:, :2], boxes[:, :2]), windows_xyxy=boxes)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MovedBoxes:
    """T boxes of N samples, samples ascending.

    Attributes:
        boxes_xyxy: float32 Tx4, pixels of the sample.
        outlines: T, what they are around.
        source_box: int64 T, which of the window's boxes each was.
        sample: int64 T.
    """

    boxes_xyxy: NDArray[np.float32]
    outlines: Outlines
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
    width: NDArray[np.floating | np.integer],
    centred: NDArray[np.bool_],
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
        width: N, of the samples, in pixels.
        centred: bool N, samples that drop boxes whose middle is out of sight.
        min_visible: smallest share of a box's area to be left.
        min_side: shortest side to be left, pixels of the sample.
    """
    boxes_of = counts[tiles.source]
    tile = np.repeat(np.arange(len(boxes_of)), boxes_of)
    within = np.arange(len(tile)) - np.repeat(np.cumsum(boxes_of) - boxes_of, boxes_of)
    source_box = begin[tiles.source][tile] + within
    moved = hulls(boxes_xyxy[source_box], pasting.matrices[tile]).reshape(-1, 2, 2)
    targets = pasting.targets_xyxy[tile].reshape(-1, 2, 2)
    seen = np.clip(moved, targets[:, :1], targets[:, 1:])
    if (tilted := tiles.tilted[tile]).any():
        parts = seen_hulls(
            boxes_xyxy[source_box[tilted]], pasting.matrices[tile[tilted]], targets[tilted].reshape(-1, 4)
        )
        seen[tilted] = parts.reshape(-1, 2, 2)
    sides, seen_sides = moved[:, 1] - moved[:, 0], seen[:, 1] - seen[:, 0]
    area, seen_area = sides[:, 0] * sides[:, 1], seen_sides[:, 0] * seen_sides[:, 1]
    kept = (seen_sides >= min_side).all(axis=1) & (seen_area >= min_visible * area) & (seen_area > 0)
    sample = tiles.sample[tile]
    middle = moved.mean(axis=1)
    kept &= ((middle > targets[:, 0]) & (middle < targets[:, 1])).all(axis=1) | ~centred[sample]
    boxes, sample, tile, source_box = seen.reshape(-1, 4)[kept], sample[kept], tile[kept], source_box[kept]
    windows = pasting.targets_xyxy[tile].astype(np.float64)
    originals = upright(boxes_xyxy[source_box])
    matrices = _then(originals.matrices, pasting.matrices[tile])
    mirrored = flip[sample]
    for upright_xyxy in (boxes, windows):
        upright_xyxy[mirrored] = upright_xyxy[mirrored][:, [2, 1, 0, 3]] * (-1, 1, -1, 1)
        upright_xyxy[mirrored, ::2] += width[sample][mirrored, None]
    matrices[mirrored, 0] *= -1
    matrices[mirrored, 0, 2] += width[sample][mirrored]
    return MovedBoxes(
        boxes_xyxy=boxes.astype(np.float32),
        outlines=Outlines(matrices=matrices, windows_xyxy=windows),
        source_box=source_box,
        sample=sample,
    )
