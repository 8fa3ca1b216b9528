"""Small JPEG pictures for a page: what was labelled against what was found, around one box or of the whole picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sanderling.structures.draw import draw_boxes

Box = tuple[float, float, float, float]

LABELLED, FOUND = (0, 214, 160), (255, 112, 32)
"""RGB of labels (drawn with broken lines) and of detections."""

_SIZE_HW = (330, 440)
_QUALITY = 82
_SMALLEST_CROP = 96.0
_CROP_BY_BOX = 2.4


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A box to draw.

    Attributes:
        box_xyxy: pixels of the original picture.
        caption: text at the box, may be empty.
        found: a detection; else a label.
        strong: the box that the picture is about: drawn thick.
    """

    box_xyxy: Box
    caption: str = ""
    found: bool = False
    strong: bool = False


def snapshot(image: NDArray[np.uint8], marks: Sequence[Mark], *, around: Box | None = None) -> bytes:
    """Draw boxes on a picture of the page's size and encode it.

    Args:
        image: uint8 HxWx3 RGB, original pixels.
        marks: the boxes.
        around: show this box with its surroundings; without it the whole picture.

    Returns:
        The bytes of a JPEG file, at most 440 x 330 pixels.
    """
    import cv2

    left, top, right, bottom = _crop(around, (image.shape[0], image.shape[1]))
    part = image[top:bottom, left:right]
    scale = min(_SIZE_HW[0] / part.shape[0], _SIZE_HW[1] / part.shape[1])
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    shown = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), np.uint8)
    # What matters most is drawn last; labels lie over detections, whose lines shine through the gaps.
    for strong in (False, True):
        for found in (True, False):
            chosen = [mark for mark in marks if mark.found == found and mark.strong == strong]
            boxes = np.array([mark.box_xyxy for mark in chosen], np.float64).reshape(-1, 4)
            shown = draw_boxes(
                shown,
                (boxes - [left, top, left, top]) * scale,
                captions=[mark.caption for mark in chosen],
                colours=[FOUND if found else LABELLED] * len(chosen),
                thickness=3 if strong else 1,
                text_scale=0.5,
                dashed=not found,
            )
    _, encoded = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes()


def css_colour(colour: tuple[int, int, int]) -> str:
    """An RGB colour as a page writes it.

    >>> css_colour((255, 112, 32))
    '#ff7020'
    """
    return "#" + "".join(f"{value:02x}" for value in colour)


def _crop(around: Box | None, size_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part to show: 4 to 3 where the picture allows, inside the picture."""
    height, width = size_hw
    if around is None:
        return 0, 0, width, height
    left, top, right, bottom = around
    wish = max(_SMALLEST_CROP, _CROP_BY_BOX * max(right - left, (bottom - top) * 4 / 3))
    crop_width, crop_height = min(width, round(wish)), min(height, round(wish * 3 / 4))
    start_x = round(min(max(0, (left + right - crop_width) / 2), width - crop_width))
    start_y = round(min(max(0, (top + bottom - crop_height) / 2), height - crop_height))
    return start_x, start_y, start_x + crop_width, start_y + crop_height
