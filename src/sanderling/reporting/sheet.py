"""Many pictures with their boxes on one sheet, line after line. Axes: T boxes of a picture."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sanderling.errors import UsageError
from sanderling.structures.draw import Colour, draw_boxes

_WIDEST = 2560
_LEGIBLE = 256
_GAP = 6
_PAPER = 255
_JPEG_QUALITY = 80


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tile:
    """A picture of a sheet.

    Attributes:
        image: uint8 HxWx3 RGB.
        boxes_xyxy: Tx4, pixels of `image`.
        captions: T texts, empty for none.
        colours: T, RGB.
    """

    image: NDArray[np.uint8]
    boxes_xyxy: NDArray[np.floating]
    captions: tuple[str, ...]
    colours: tuple[Colour, ...]


def lay_on_sheet(tiles: Sequence[Tile], *, columns: int | None = None) -> NDArray[np.uint8]:
    """Put pictures of one size beside and below each other, uint8 HxWx3 RGB.

    All are enlarged by a whole number where they are tiny, or shrunk where the sheet would be wider than 2,560 pixels.
    Boxes and captions are drawn afterwards.

    Args:
        tiles: one or more.
        columns: pictures of a line; about as many as there are lines without it.
    """
    height, width = tiles[0].image.shape[:2]
    across = min(len(tiles), math.ceil(math.sqrt(len(tiles))) if columns is None else columns)
    down = -(-len(tiles) // across)
    room = (_WIDEST - _GAP * (across - 1)) / across
    scale = room / width if room < width else min(room // width, max(1, _LEGIBLE // max(height, width)))
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    paper = np.full((down * (tall + _GAP) - _GAP, across * (wide + _GAP) - _GAP, 3), _PAPER, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // across * (tall + _GAP), place % across * (wide + _GAP)
        paper[top : top + tall, left : left + wide] = _drawn(tile, (tall, wide))
    return paper


def _drawn(tile: Tile, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    import cv2

    height, width = tile.image.shape[:2]
    tall, wide = size_hw
    kind = cv2.INTER_NEAREST if wide >= width else cv2.INTER_AREA
    image = np.asarray(cv2.resize(tile.image, (wide, tall), interpolation=kind), np.uint8)
    boxes = tile.boxes_xyxy * (wide / width, tall / height, wide / width, tall / height)
    return draw_boxes(image, boxes, captions=tile.captions, colours=tile.colours)


def write_sheet(path: Path, sheet: NDArray[np.uint8]) -> None:
    """Write a sheet as PNG or JPEG, which the name says; the file appears whole or not at all.

    Raises:
        UsageError: the file cannot be written.
    """
    import cv2

    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    options = [] if path.suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, encoded = cv2.imencode(path.suffix, sheet[..., ::-1], options)
    try:
        unfinished.write_bytes(encoded.tobytes())
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}; name a folder that can be") from None
    finally:
        unfinished.unlink(missing_ok=True)
