"""Boxes, names and scores drawn on a picture."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanderling.structures.detections import Detections

Colour = tuple[int, int, int]


def class_colour(label: int) -> Colour:
    """A well separated RGB colour per class: hues step by the golden ratio."""
    red, green, blue = colorsys.hsv_to_rgb((label * 0.618034 + 0.02) % 1.0, 0.85, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw(picture: NDArray[np.uint8], detections: Detections) -> NDArray[np.uint8]:
    """Return a copy of `picture` (uint8 HxWx3 RGB) with the detections drawn on it."""
    captions = [
        detections.class_names[int(label)]
        + ("" if detections.track_ids is None else f" #{int(detections.track_ids[index])}")
        + f" {score:.2f}"
        for index, (label, score) in enumerate(zip(detections.labels, detections.scores, strict=True))
    ]
    colours = [class_colour(int(label)) for label in detections.labels]
    return draw_boxes(picture, detections.boxes_xyxy, captions=captions, colours=colours)


def draw_boxes(
    picture: NDArray[np.uint8],
    boxes_xyxy: NDArray[np.floating],
    *,
    captions: Sequence[str],
    colours: Sequence[Colour],
    thickness: int | None = None,
    text_scale: float | None = None,
    dashed: bool = False,
) -> NDArray[np.uint8]:
    """Return a copy of a picture with one captioned rectangle per box, the first one on top.

    Args:
        picture: uint8 HxWx3 RGB.
        boxes_xyxy: (N, 4) pixels of `picture`; what lies outside is cut off.
        captions: N texts, empty for none.
        colours: N.
        thickness: of the lines in pixels; by the picture's size without it.
        text_scale: of the captions, 1 for capitals of about 21 pixels; by the picture's size without it.
        dashed: broken lines.
    """
    import cv2

    canvas = np.ascontiguousarray(picture).copy()
    height, width = canvas.shape[:2]
    if thickness is None:
        thickness = max(1, round(min(height, width) / 300))
    scale = max(0.35, min(height, width) / 1100) if text_scale is None else text_scale
    # A line's width outside is enough to hide an edge; beyond that OpenCV may run out of integers.
    limits = np.array([width, height, width, height]) + thickness
    shown = np.clip(np.nan_to_num(boxes_xyxy), -thickness, limits).round().astype(int)
    for box, caption, colour in zip(shown[::-1].tolist(), captions[::-1], colours[::-1], strict=True):
        left, top, right, bottom = box
        if dashed:
            _dashed_rectangle(canvas, (left, top, right, bottom), colour, thickness)
        else:
            cv2.rectangle(canvas, (left, top), (right, bottom), colour, thickness)
        if not caption:
            continue
        stroke = max(1, round(min(height, width) / 300))
        (text_width, text_height), below = cv2.getTextSize(caption, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
        base = top - below if top - text_height - below >= 0 else top + text_height + below
        start = max(0, min(left, width - text_width))
        cv2.rectangle(canvas, (start, base - text_height - 2), (start + text_width, base + below), colour, cv2.FILLED)
        ink = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
        cv2.putText(canvas, caption, (start, base), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, stroke, cv2.LINE_AA)
    return canvas


def _dashed_rectangle(
    canvas: NDArray[np.uint8], box: tuple[int, int, int, int], colour: Colour, thickness: int
) -> None:
    """Draw on `canvas`: dashes of five line widths, gaps of four, at least some on every side."""
    import cv2

    left, top, right, bottom = box
    dash, gap = max(4, 5 * thickness), max(3, 4 * thickness)
    for x in range(left, max(right, left + 1), dash + gap):
        for y in (top, bottom):
            cv2.line(canvas, (x, y), (min(x + dash, right), y), colour, thickness)
    for y in range(top, max(bottom, top + 1), dash + gap):
        for x in (left, right):
            cv2.line(canvas, (x, y), (x, min(y + dash, bottom)), colour, thickness)
