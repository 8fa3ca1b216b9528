"""What rendered scenes ask to be found: fire, smoke, crane and kite, each drawn alone with its own opacity.

A cutout is uint8 HxWx4: RGB already multiplied by opacity, and opacity. Drawing with OpenCV's anti-aliased primitives
on an empty canvas keeps it so, and the opacity says to the pixel where the object is.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Cutout = NDArray[np.uint8]
Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]

VISIBLE = 64
"""Opacity, of 255, from which a pixel counts as the object's."""

_SUBPIXEL = 4


def fire(rng: np.random.Generator, side: float) -> Cutout:
    """A flame about `side` pixels high: spiky tongues, red outside, almost white within."""
    width, height = round(side * rng.uniform(0.55, 1.1)), round(side)
    canvas = _canvas(height, width)
    tongues = int(rng.integers(2, 5))
    tips = np.linspace(0.12, 0.88, 2 * tongues + 1)
    heights = np.where(np.arange(len(tips)) % 2, rng.uniform(0.65, 1.0, len(tips)), rng.uniform(0.3, 0.55, len(tips)))
    heights *= 1 - 0.9 * np.abs(tips - 0.5)
    heights /= heights.max()
    lean = rng.uniform(-0.15, 0.15)
    red = int(rng.integers(45, 110))
    layers = ((1.0, (250, red, 15)), (0.72, (255, red + 70, 30)), (0.42, (255, 235, int(rng.integers(110, 210)))))
    for share, colour in layers:
        outline = [(0.5 - 0.36 * share, 0.99), (0.5 - 0.5 * share, 0.85)]
        outline += [
            (0.5 + (x - 0.5) * share + lean * h * share, 0.98 - 0.96 * h * share)
            for x, h in zip(tips.tolist(), heights.tolist(), strict=True)
        ]
        outline += [(0.5 + 0.5 * share, 0.85), (0.5 + 0.36 * share, 0.99)]
        polygon(canvas, outline, colour)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), max(0.4, 0.02 * side)), np.uint8)


def smoke(rng: np.random.Generator, side: float) -> Cutout:
    """A plume about `side` pixels high: puffs that widen and thin out as they rise and drift."""
    height, width = round(side), round(side * rng.uniform(0.6, 1.1))
    density = np.zeros((height, width), np.uint8)
    drift, start, grow = rng.uniform(-0.55, 0.55), rng.uniform(0.07, 0.12), rng.uniform(0.1, 0.2)
    origin = 0.5 - 0.6 * drift
    blur = max(0.5, 0.025 * side)
    for step in np.linspace(0, 1, 12).tolist():
        radius = (start + grow * step) * height
        # Puffs keep off the border, or blurring would leave a straight edge there.
        room = radius + 2 * blur
        x = np.clip((origin + drift * step + rng.normal(0, 0.03)) * width, room, max(room, width - room))
        y = height - radius - step * max(0.0, height - radius - room)
        cv2.circle(density, _at(float(x), y), _length(radius), round(255 - 60 * step), -1, cv2.LINE_AA, _SUBPIXEL)
    soft = cv2.GaussianBlur(density, (0, 0), blur).astype(np.float32)
    texture = cloud_texture(rng, (height, width), zoom=0.35)
    opacity = soft * (rng.uniform(0.92, 1.0) - rng.uniform(0.05, 0.22) * texture)
    shade = rng.uniform(20, 60) if rng.random() < 0.4 else rng.uniform(175, 235)
    tint = np.array([1.0, rng.uniform(0.97, 1.0), rng.uniform(0.92, 1.04)], np.float32)
    grey = shade * (1.15 - 0.35 * texture)
    coloured = (opacity / 255 * grey)[..., None] * tint
    return np.clip(np.concatenate([coloured, opacity[..., None]], axis=2), 0, 255).astype(np.uint8)


def crane(rng: np.random.Generator, side: float) -> Cutout:
    """A crane about `side` pixels high: a tower crane or a truck with a boom."""
    colours: tuple[Colour, ...] = ((250, 190, 10), (235, 120, 20), (215, 40, 35), (240, 215, 60))
    colour = colours[int(rng.integers(len(colours)))]
    canvas = _tower_crane(rng, side, colour) if rng.random() < 0.5 else _truck_crane(rng, side, colour)
    return np.ascontiguousarray(canvas[:, ::-1]) if rng.random() < 0.5 else canvas


def kite(rng: np.random.Generator, side: float) -> Cutout:
    """A kite about `side` pixels across its longer side: a diamond or a delta with a tail of bows."""
    size = round(side)
    canvas = _canvas(size, size)
    first, second = _vivid(rng), _vivid(rng)
    angle = rng.uniform(-0.9, 0.9)
    diamond = rng.random() < 0.6
    shape = [(0.0, -0.42), (0.26, -0.12), (0.0, 0.2), (-0.26, -0.12)] if diamond else _DELTA
    corners = [_turned(x, y, angle) for x, y in shape]
    nose, right, foot, left = corners
    tail = [(foot[0] + (x := 0.05 * math.sin(2.2 * t)), foot[1] + 0.07 * t + x * 0.2) for t in range(5)]
    tail = [(x, min(y, 0.98)) for x, y in tail]
    for begin, end in itertools.pairwise(tail):
        line(canvas, begin, end, second, max(1.0, 0.02 * side))
    for x, y in tail[2::2]:
        polygon(canvas, [(x - 0.06, y - 0.03), (x + 0.06, y + 0.03), (x + 0.06, y - 0.03), (x - 0.06, y + 0.03)], first)
    polygon(canvas, [nose, right, foot], first)
    polygon(canvas, [nose, left, foot], second)
    return canvas


OBJECTS: dict[str, Callable[[np.random.Generator, float], Cutout]] = {
    "fire": fire,
    "smoke": smoke,
    "crane": crane,
    "kite": kite,
}

_DELTA = [(0.0, -0.35), (0.45, 0.02), (0.0, -0.02), (-0.45, 0.02)]


def visible_box(cutout: Cutout) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of the visible pixels in edge coordinates; None when there are none."""
    seen = cutout[..., 3] >= VISIBLE
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    if not len(columns):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def trimmed(cutout: Cutout) -> Cutout:
    """The cutout without what lies outside its visible box."""
    box = visible_box(cutout)
    if box is None:
        return cutout[:0, :0]
    left, top, right, bottom = box
    return cutout[top:bottom, left:right]


def paste(image: NDArray[np.uint8], cutout: Cutout, left: int, top: int) -> None:
    """Lay a cutout over a picture (uint8 HxWx3) in place; what would lie outside is left out."""
    height, width = image.shape[:2]
    x, y = max(0, left), max(0, top)
    part = cutout[y - top : height - top, x - left : width - left].astype(np.uint16)
    if not part.size:
        return
    under = image[y : y + part.shape[0], x : x + part.shape[1]]
    under[:] = np.minimum(part[..., :3] + under * (255 - part[..., 3:]) // 255, 255)


def polygon(canvas: NDArray[np.uint8], points: Points, colour: Colour) -> None:
    """Fill a polygon given in shares of the canvas (uint8 HxWx3 or x4)."""
    height, width = canvas.shape[:2]
    corners = np.array([_at(x * width, y * height) for x, y in points], np.int32)
    cv2.fillPoly(canvas, [corners], (*colour, 255), cv2.LINE_AA, _SUBPIXEL)


def line(
    canvas: NDArray[np.uint8], begin: tuple[float, float], end: tuple[float, float], colour: Colour, thickness: float
) -> None:
    """Draw a line between points given in shares of the canvas, `thickness` in pixels."""
    height, width = canvas.shape[:2]
    first, second = _at(begin[0] * width, begin[1] * height), _at(end[0] * width, end[1] * height)
    cv2.line(canvas, first, second, (*colour, 255), max(1, round(thickness)), cv2.LINE_AA, _SUBPIXEL)


def cloud_texture(rng: np.random.Generator, size_hw: tuple[int, int], *, zoom: float) -> NDArray[np.float32]:
    """A random piece of fractal noise, 0..1, float32 HxW; a smaller `zoom` shows larger structures."""
    bank = _fractal_noise()
    span_y, span_x = (max(8, int(zoom * side)) for side in bank.shape)
    top, left = int(rng.integers(bank.shape[0] - span_y + 1)), int(rng.integers(bank.shape[1] - span_x + 1))
    piece = bank[top : top + span_y, left : left + span_x]
    piece = piece[:, ::-1] if rng.random() < 0.5 else piece
    return np.asarray(cv2.resize(piece, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_LINEAR), np.float32)


@functools.lru_cache(maxsize=1)
def _fractal_noise() -> NDArray[np.float32]:
    """One large field of noise, octave upon octave, the same in every process."""
    generator = np.random.default_rng(20)
    height, width = 384, 512
    field = np.zeros((height, width), np.float32)
    for octave in range(6):
        cells = generator.random((3 << octave, 4 << octave)).astype(np.float32)
        field += cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC) / 1.8**octave
    low, high = np.quantile(field, [0.01, 0.99])
    return np.asarray(np.clip((field - low) / (high - low), 0, 1), np.float32)


def _tower_crane(rng: np.random.Generator, side: float, colour: Colour) -> Cutout:
    height, width = round(side), round(side * rng.uniform(0.7, 1.1))
    canvas = _canvas(height, width)
    mast, jib, thick = rng.uniform(0.26, 0.38), rng.uniform(0.16, 0.24), max(1.0, 0.022 * side)
    half = 0.028 * height / width + 0.012
    for x in (mast - half, mast + half):
        line(canvas, (x, 0.99), (x, jib), colour, thick)
    rungs = np.linspace(0.98, jib, 9).tolist()
    for number, (low, high) in enumerate(itertools.pairwise(rungs)):
        reach = half if number % 2 else -half
        line(canvas, (mast - reach, low), (mast + reach, high), colour, 0.6 * thick)
    apex = (mast, 0.02)
    line(canvas, (0.04, jib), (0.97, jib), colour, 1.6 * thick)
    line(canvas, (mast, jib), apex, colour, thick)
    for end in ((0.75, jib), (0.07, jib)):
        line(canvas, apex, end, colour, 0.6 * thick)
    polygon(canvas, [(0.03, jib), (0.12, jib), (0.12, jib + 0.09), (0.03, jib + 0.09)], (110, 110, 115))
    cab = 2.6 * half
    polygon(canvas, [(mast, jib), (mast + cab, jib), (mast + cab, jib + 0.08), (mast, jib + 0.08)], (225, 225, 230))
    hook = rng.uniform(0.55, 0.92)
    line(canvas, (hook, jib), (hook, rng.uniform(0.35, 0.7)), (60, 60, 65), 0.5 * thick)
    return canvas


def _truck_crane(rng: np.random.Generator, side: float, colour: Colour) -> Cutout:
    height, width = round(side), round(side * rng.uniform(0.8, 1.15))
    canvas = _canvas(height, width)
    floor, deck = 0.97, 0.84
    polygon(canvas, [(0.04, deck), (0.62, deck), (0.62, floor - 0.04), (0.04, floor - 0.04)], colour)
    polygon(canvas, [(0.45, deck - 0.08), (0.62, deck - 0.08), (0.64, floor - 0.04), (0.45, floor - 0.04)], colour)
    polygon(canvas, [(0.5, deck - 0.06), (0.6, deck - 0.06), (0.61, deck), (0.5, deck)], (70, 90, 110))
    radius = 0.045 * height
    for x in (0.13, 0.25, 0.52):
        center = _at(x * width, floor * height - radius)
        cv2.circle(canvas, center, _length(radius), (30, 30, 32, 255), -1, cv2.LINE_AA, _SUBPIXEL)
    tip = (rng.uniform(0.7, 0.95), rng.uniform(0.03, 0.15))
    foot = (0.2, deck - 0.02)
    middle = ((foot[0] + tip[0]) / 2, (foot[1] + tip[1]) / 2)
    line(canvas, foot, middle, colour, max(1.5, 0.06 * side))
    line(canvas, foot, tip, colour, max(1.0, 0.04 * side))
    line(canvas, tip, (tip[0], tip[1] + rng.uniform(0.15, 0.45)), (60, 60, 65), max(1.0, 0.012 * side))
    return canvas


def _vivid(rng: np.random.Generator) -> Colour:
    pixel = np.array([[[rng.integers(180), rng.integers(190, 256), rng.integers(170, 256)]]], np.uint8)
    red, green, blue = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


def _turned(x: float, y: float, angle: float) -> tuple[float, float]:
    sine, cosine = math.sin(angle), math.cos(angle)
    return 0.5 + x * cosine - y * sine, 0.45 + x * sine + y * cosine


def _canvas(height: int, width: int) -> Cutout:
    return np.zeros((max(1, height), max(1, width), 4), np.uint8)


def _at(x: float, y: float) -> tuple[int, int]:
    """A point in edge coordinates as OpenCV counts: pixel centres are whole, in steps of 1/16."""
    return round((x - 0.5) * (1 << _SUBPIXEL)), round((y - 0.5) * (1 << _SUBPIXEL))


def _length(pixels: float) -> int:
    return max(1, round(pixels * (1 << _SUBPIXEL)))
