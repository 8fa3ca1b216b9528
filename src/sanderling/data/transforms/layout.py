"""Which pictures make up each sample of a window and where they stand: one alone, or four or nine as a mosaic.

Axes: S samples, N pictures of the window, K tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sanderling.data.augment import Draws
from sanderling.data.transforms.geometry import Tiles

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Of the four tiles of a mosaic: does it end (1) or begin (0) at the centre, in x and in y?
_ENDS_AT_CENTRE = np.array([(1, 1), (0, 1), (1, 0), (0, 0)])
# Of the nine: column and row, the middle one first.
_CELLS = np.array([(1, 1), (0, 0), (1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2), (2, 2)])
_NINTH = 2 / 3
"""The nine are drawn so much smaller than the four, so that about as much of each is seen."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Plan:
    """What S samples are made of.

    Attributes:
        pictures: int64 Sx9, places in the window; as many of them as there are tiles count, the first one always.
        tiles: int64 S, 1, 4 or 9.
        frames_xyxy: float64 Sx4, the part of the first picture (of the plane around it, too) that is fitted to the
            sample where it stands alone, original pixels.
        turns: float64 Sx2x3, of the sample's plane about the middle of what is turned, pixels.
        size_xy: float64 Sx2, width and height of the samples.
    """

    pictures: Ints
    tiles: Ints
    frames_xyxy: Floats
    turns: Floats
    size_xy: Floats


def lay_out(plan: Plan, draws: Draws, *, original_xy: Floats, resize: Literal["letterbox", "stretch"]) -> Tiles:
    """Place every picture of every sample.

    A picture alone, or its frame, is fitted, enlarged about the middle and shifted. In a mosaic of four the fitted and
    enlarged pictures touch one centre with a corner each, every one in its own quarter; in one of nine the others
    stand around the first. A turn is about the middle of the sample, in a mosaic about the middle of each tile.

    Args:
        plan: S samples.
        draws: their scales, shifts and centres.
        original_xy: Nx2, width and height of the original pictures.
        resize: how a picture is fitted.
    """
    count = len(plan.tiles)
    sample = np.repeat(np.arange(count), plan.tiles)
    rank = np.arange(len(sample)) - np.repeat(np.cumsum(plan.tiles) - plan.tiles, plan.tiles)
    source = plan.pictures[sample, rank]
    tiles = plan.tiles[sample][:, None]
    size = plan.size_xy[sample]
    frame = plan.frames_xyxy[sample]
    whole = np.concatenate([np.zeros_like(size), original_xy[source]], axis=1)
    frame = np.where(tiles == 1, frame, whole)
    frame_xy = frame[:, 2:] - frame[:, :2]
    fit_scale, fit_offset = fits(frame_xy, size, resize)

    enlarge, shift = draws.scale_xy[sample], draws.shift_xy[sample]
    scale = fit_scale * enlarge * np.where(tiles == 9, _NINTH, 1)
    span = scale * frame_xy
    middle = size / 2
    alone = (fit_offset - middle) * enlarge + middle + shift * fit_scale * frame_xy
    centre = middle + size * (draws.centre_xy[sample] * enlarge + shift)
    ends = _ENDS_AT_CENTRE[np.minimum(rank, 3)]
    begin = np.where(tiles == 1, alone, centre - ends * span)

    seam = np.clip(centre, 0, size)
    low = np.where((tiles == 4) & (ends == 0), seam, 0)
    high = np.where((tiles == 4) & (ends == 1), seam, size)
    if (plan.tiles == 9).any():
        where = np.flatnonzero(tiles[:, 0] == 9).reshape(-1, 9)
        begin[where], low[where], high[where] = _nine(centre[where[:, 0]], span[where], size[where])

    turns = plan.turns[sample]
    tilted = (turns[:, :, :2] != np.eye(2)).any(axis=(1, 2))
    pivot = np.where(tiles == 1, middle, (low + high) / 2)
    turns[:, :, 2] += pivot - (turns[:, :, :2] @ pivot[:, :, None])[:, :, 0]
    begin = begin + np.where(tilted[:, None], 0, turns[:, :, 2])
    # Alone, nothing beside the frame is seen, unless it is turned.
    framed = (tiles == 1) & ~tilted[:, None]
    low = np.where(framed, np.clip(begin, 0, size), low)
    high = np.where(framed, np.clip(begin + span, 0, size), high)
    return Tiles(
        sample=sample,
        source=source,
        scale_xy=scale,
        offset_xy=begin - frame[:, :2] * scale,
        limits_xyxy=np.concatenate([low, high], axis=1),
        turns=turns,
        tilted=tilted,
    )


def fits(frame_xy: Floats, size_xy: Floats, resize: Literal["letterbox", "stretch"]) -> tuple[Floats, Floats]:
    """Scale and offset, Kx2 each, that bring rectangles of these widths and heights (Kx2) into samples (Kx2).

    The same as `pictures.place`, for many at once.
    """
    if resize == "stretch":
        return size_xy / frame_xy, np.zeros_like(size_xy)
    ratio = (size_xy / frame_xy).min(axis=1, keepdims=True)
    inner = np.minimum(size_xy, np.maximum(1, np.rint(frame_xy * ratio)))
    return inner / frame_xy, np.floor((size_xy - inner) / 2)


def _nine(centre: Floats, span: Floats, size: Floats) -> tuple[Floats, Floats, Floats]:
    """Where the tiles of M mosaics of nine begin, and their limits: Mx9x2 each, from centres Mx2 and spans Mx9x2."""
    left_top, right_bottom = (centre + side * span[:, 0] / 2 for side in (-1, 1))
    begin, low, high = np.empty_like(span), np.empty_like(span), np.empty_like(span)
    for place, cell in enumerate(_CELLS):
        between = left_top + (right_bottom - left_top - span[:, place]) / 2
        begin[:, place] = np.choose(cell, [left_top - span[:, place], between, right_bottom])
        low[:, place] = np.choose(cell, [np.zeros_like(between), left_top, right_bottom])
        high[:, place] = np.choose(cell, [left_top, right_bottom, size[:, place]])
    return begin, np.clip(low, 0, size), np.clip(high, 0, size)
