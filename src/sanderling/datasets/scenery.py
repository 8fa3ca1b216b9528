"""The corridor of rendered scenes: sky, hills, ground, towers, conductors, and what only looks like an object.

Everything is drawn in place on a uint8 HxWx3 RGB picture. Distractors carry no boxes: sun, clouds, birds, balloons,
red roofs, lamps, vehicles, autumn bushes, the coloured balls that mark conductors for aircraft.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.scene_objects import Colour, cloud_texture, line, polygon

Image = NDArray[np.uint8]
Point = tuple[float, float]
Wire = tuple[Point, Point, float]
"""Two ends and the sag between them, in shares of the picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """The hour and the weather: colours of sky and ground, and how much far things fade into the sky."""

    sky_top: Colour
    sky_low: Colour
    ground: Colour
    haze: float
    gain: float
    lamps: bool = False


LIGHTS: tuple[Light, ...] = (
    Light(sky_top=(70, 130, 205), sky_low=(190, 215, 235), ground=(105, 125, 65), haze=0.25, gain=1.0),
    Light(sky_top=(95, 155, 220), sky_low=(215, 225, 230), ground=(150, 135, 90), haze=0.3, gain=1.05),
    Light(sky_top=(150, 158, 168), sky_low=(205, 208, 210), ground=(100, 108, 75), haze=0.4, gain=0.9),
    Light(sky_top=(175, 178, 178), sky_low=(210, 208, 202), ground=(135, 135, 115), haze=0.65, gain=0.95),
    Light(sky_top=(60, 65, 115), sky_low=(235, 150, 90), ground=(75, 70, 55), haze=0.3, gain=0.8, lamps=True),
    Light(sky_top=(35, 45, 80), sky_low=(110, 105, 125), ground=(50, 52, 48), haze=0.3, gain=0.7, lamps=True),
)


def backdrop(rng: np.random.Generator, size_hw: tuple[int, int], light: Light) -> tuple[Image, float]:
    """Paint sky, hills and ground; give the picture and the height of the horizon as a share of it."""
    height, width = size_hw
    horizon = rng.uniform(0.42, 0.68)
    edge = round(horizon * height)
    sky = _mix(light.sky_top, light.sky_low, np.linspace(0, 1, edge, dtype=np.float32)[:, None])
    cover = np.clip((cloud_texture(rng, (edge, width), zoom=rng.uniform(0.3, 0.8)) - rng.uniform(0.3, 0.9)) * 2.5, 0, 1)
    cover *= rng.uniform(0.3, 0.8)
    white = _mix(light.sky_low, (255, 255, 255), 0.6)
    depth = np.linspace(0, 1, height - edge, dtype=np.float32)[:, None]
    near = (
        np.asarray(light.ground, np.float32) * rng.uniform(0.85, 1.15) * rng.uniform(0.94, 1.06, 3).astype(np.float32)
    )
    ground = near + (1 - depth) ** 2 * light.haze * (np.asarray(light.sky_low, np.float32) - near)
    texture = cloud_texture(rng, (height - edge, width), zoom=1.0)
    texture += cloud_texture(rng, (height - edge, width), zoom=rng.uniform(0.3, 0.6))
    texture = 0.65 + 0.35 * texture
    # Channel by channel: NumPy is slow over a last axis of three.
    image = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        column = sky[:, channel, None]
        image[:edge, :, channel] = column + cover * (white[channel] - column)
        image[edge:, :, channel] = np.minimum(ground[:, channel, None] * texture, 255)
    _hills(rng, image, horizon, light)
    _fields(rng, image, horizon, light)
    return image, horizon


def sky_distractors(rng: np.random.Generator, image: Image, horizon: float, light: Light) -> None:
    """Sun, birds, balloons and small clouds."""
    height, width = image.shape[:2]
    if rng.random() < 0.4:
        _sun(rng, image, horizon, light)
    for _ in range(int(rng.integers(4)) if rng.random() < 0.45 else 0):
        x, y, span = rng.uniform(0.05, 0.95), rng.uniform(0.03, horizon - 0.05), rng.uniform(0.008, 0.03)
        lift, dark = rng.uniform(0.3, 0.7) * span, (45, 45, 50)
        line(image, (x - span, y - lift), (x, y), dark, 1)
        line(image, (x, y), (x + span, y - lift), dark, 1)
    if rng.random() < 0.25:
        x, y, radius = rng.uniform(0.1, 0.9), rng.uniform(0.08, horizon - 0.08), rng.uniform(0.012, 0.04)
        colour = tuple(int(value) for value in rng.integers(60, 250, 3))
        _disc(image, x, y, radius, (colour[0], colour[1], colour[2]))
        basket = y + 2.1 * radius * width / height
        line(image, (x, basket), (x, basket + 0.01), (60, 50, 40), max(1.0, 0.3 * radius * width))
    if rng.random() < 0.45:
        patch = round(rng.uniform(0.06, 0.14) * height), round(rng.uniform(0.2, 0.4) * width)
        top, left = int(rng.integers(round(horizon * height) - patch[0])), int(rng.integers(width - patch[1]))
        bell = np.outer(np.hanning(patch[0]), np.hanning(patch[1])).astype(np.float32)
        cover = np.clip(bell * (0.4 + cloud_texture(rng, patch, zoom=0.3)), 0, 0.85)[..., None]
        under = image[top : top + patch[0], left : left + patch[1]]
        under[:] = (under + cover * (_mix(light.sky_low, (255, 255, 255), 0.7) - under)).astype(np.uint8)


def ground_distractors(rng: np.random.Generator, image: Image, horizon: float, light: Light) -> None:
    """Trees, houses with red roofs, vehicles, autumn bushes, lamps; farther ones first and smaller."""
    for y in np.sort(rng.uniform(horizon, 0.97, int(rng.integers(3, 9)))).tolist():
        size = (0.03 + 0.16 * (y - horizon) / (1 - horizon)) * rng.uniform(0.7, 1.3)
        fade = light.haze * (1 - (y - horizon) / (1 - horizon)) ** 2
        draw = _GROUND_THINGS[int(rng.choice(len(_GROUND_THINGS), p=(0.45, 0.2, 0.12, 0.13, 0.1)))]
        draw(rng, image, (rng.uniform(0, 1), y), size, functools.partial(_faded, light=light, share=fade))
    if light.lamps:
        for _ in range(int(rng.integers(1, 4))):
            _glow(image, rng.uniform(0, 1), rng.uniform(horizon, 0.9), rng.uniform(0.006, 0.014), (255, 225, 160))


def corridor(rng: np.random.Generator, image: Image, horizon: float, light: Light) -> list[Wire]:
    """Draw a row of towers and give the wires between them, which may be drawn later."""
    style = _TOWERS[int(rng.integers(len(_TOWERS)))]
    count, ratio = int(rng.integers(2, 5)), rng.uniform(0.45, 0.9)
    x, step, tall = rng.uniform(-0.1, 0.4), rng.uniform(0.3, 0.6), rng.uniform(0.35, 0.75)
    base = rng.uniform(horizon + 0.05, 0.98)
    mirrored = rng.random() < 0.5
    fastenings: list[list[Point]] = []
    for number in range(count):
        fade = light.haze * number / count
        steel = _faded((95, 98, 100), light, fade)
        fastenings.append(style(image, 1 - x if mirrored else x, base, tall, steel))
        x, step, tall, base = x + step, step * ratio, tall * ratio, horizon + (base - horizon) * ratio
    first, second = fastenings[0], fastenings[1]
    outward = [(2.2 * a[0] - 1.2 * b[0], 2.2 * a[1] - 1.2 * b[1]) for a, b in zip(first, second, strict=True)]
    rows = [outward, *fastenings]
    sag = rng.uniform(0.03, 0.1)
    return [
        (a, b, sag * min(1.0, abs(a[0] - b[0]) * 2))
        for begin, end in itertools.pairwise(rows)
        for a, b in zip(begin, end, strict=True)
    ]


def conductors(rng: np.random.Generator, image: Image, wires: Sequence[Wire], light: Light) -> None:
    """Draw hanging wires, some with the coloured balls that warn aircraft."""
    height, width = image.shape[:2]
    steps = np.linspace(0, 1, 17)
    colour = _faded((70, 72, 76), light, 0.2)
    balls = rng.random() < 0.2
    for (x0, y0), (x1, y1), sag in wires:
        xs = (x0 + (x1 - x0) * steps) * width
        ys = (y0 + (y1 - y0) * steps + 4 * sag * steps * (1 - steps)) * height
        points = np.round(np.stack([xs, ys], axis=1) * 16).clip(-1 << 20, 1 << 20).astype(np.int32)
        cv2.polylines(image, [points], False, colour, 1, cv2.LINE_AA, 4)
        if balls and rng.random() < 0.4:
            for place in (4, 8, 12):
                tone = (215, 60, 40) if place != 8 else (235, 235, 235)
                _disc(image, float(xs[place]) / width, float(ys[place]) / height, rng.uniform(0.006, 0.012), tone)


def _hills(rng: np.random.Generator, image: Image, horizon: float, light: Light) -> None:
    steps = np.linspace(0, 1, 24)
    for layer in range(int(rng.integers(0, 3)), 0, -1):
        rise = rng.uniform(0.02, 0.07) * layer
        tops = horizon - rise * (0.5 + 0.5 * np.sin(steps * rng.uniform(3, 9) + rng.uniform(0, 6)))
        tops -= rng.uniform(0, 0.008, len(steps))
        outline = [(1.02, horizon + 0.01), (-0.02, horizon + 0.01), *zip(steps.tolist(), tops.tolist(), strict=True)]
        polygon(image, outline, _faded((60, 85, 60), light, min(0.9, light.haze + 0.22 * layer)))


def _fields(rng: np.random.Generator, image: Image, horizon: float, light: Light) -> None:
    """Patches of other crops and perhaps a road to the vanishing point, laid thinly over the ground."""
    edge = round(horizon * image.shape[0])
    layer = image[edge:].copy()
    for _ in range(int(rng.integers(0, 4))):
        x, y, span = rng.uniform(-0.2, 0.8), rng.uniform(0, 0.6), rng.uniform(0.2, 0.7)
        tone = tuple(
            int(value)
            for value in np.clip(np.array(light.ground) * rng.uniform(0.7, 1.4) * rng.uniform(0.9, 1.1, 3), 0, 255)
        )
        deep = y + rng.uniform(0.05, 0.4)
        polygon(layer, [(x, y), (x + span, y), (x + 1.3 * span, deep), (x - 0.2, deep)], (tone[0], tone[1], tone[2]))
    if rng.random() < 0.4:
        x, foot = rng.uniform(0.2, 0.8), rng.uniform(-0.2, 1.0)
        polygon(layer, [(x, 0), (x + 0.01, 0), (foot + 0.25, 1.02), (foot, 1.02)], _faded((140, 132, 122), light, 0.1))
    cv2.addWeighted(layer, 0.6, image[edge:], 0.4, 0, dst=layer)
    image[edge:] = layer


def _sun(rng: np.random.Generator, image: Image, horizon: float, light: Light) -> None:
    low = light.lamps
    y = rng.uniform(horizon - 0.14, horizon - 0.03) if low else rng.uniform(0.05, 0.25)
    colour = (255, 170, 80) if low else (255, 250, 225)
    _glow(image, rng.uniform(0.05, 0.95), y, rng.uniform(0.018, 0.04), colour)


Tint = Callable[[Colour], Colour]


def _tree(rng: np.random.Generator, image: Image, foot: Point, size: float, tint: Tint) -> None:
    x, y = foot
    green = tint((int(rng.integers(30, 70)), int(rng.integers(60, 100)), int(rng.integers(25, 50))))
    for _ in range(4):
        part = size * rng.uniform(0.25, 0.45)
        _disc(image, x + rng.normal(0, 0.3 * size), y - part - rng.uniform(0, 0.6 * size), part, green)


def _house(rng: np.random.Generator, image: Image, foot: Point, size: float, tint: Tint) -> None:
    x, y = foot
    wall = tint(((215, 205, 190), (180, 170, 160), (235, 230, 220))[int(rng.integers(3))])
    roof = tint(((185, 65, 45), (200, 90, 50), (150, 50, 45), (95, 90, 90))[int(rng.integers(4))])
    half, tall = 0.8 * size, 0.7 * size
    polygon(image, [(x - half, y - tall), (x + half, y - tall), (x + half, y), (x - half, y)], wall)
    polygon(image, [(x - 1.2 * half, y - tall), (x, y - 1.9 * tall), (x + 1.2 * half, y - tall)], roof)


def _vehicle(rng: np.random.Generator, image: Image, foot: Point, size: float, tint: Tint) -> None:
    x, y = foot
    body = tint(((235, 180, 20), (200, 45, 40), (240, 240, 240), (60, 90, 150))[int(rng.integers(4))])
    half, tall = 0.45 * size, 0.3 * size
    polygon(image, [(x - half, y - tall), (x + half, y - tall), (x + half, y), (x - half, y)], body)
    polygon(image, [(x, y - 1.8 * tall), (x + half, y - 1.8 * tall), (x + half, y), (x, y)], body)
    for wheel in (-0.6, 0.6):
        _disc(image, x + wheel * half, y, 0.3 * tall, (30, 30, 32))


def _bush(rng: np.random.Generator, image: Image, foot: Point, size: float, tint: Tint) -> None:
    x, y = foot
    leaves = tint(((190, 95, 35), (165, 60, 40), (195, 140, 50))[int(rng.integers(3))])
    for _ in range(5):
        part = size * rng.uniform(0.12, 0.22)
        _disc(image, x + rng.normal(0, 0.25 * size), y - part, part, leaves)


def _pole(rng: np.random.Generator, image: Image, foot: Point, size: float, tint: Tint) -> None:
    x, y = foot
    tall = size * rng.uniform(1.5, 2.1)
    line(image, foot, (x, y - tall), tint((110, 105, 100)), max(1.0, 0.06 * size * image.shape[0]))
    line(image, (x, y - tall), (x + 0.3 * size, y - tall), tint((110, 105, 100)), 1)


_GROUND_THINGS = (_tree, _house, _vehicle, _bush, _pole)


def _lattice(image: Image, left: tuple[Point, Point], right: tuple[Point, Point], colour: Colour, panels: int) -> None:
    """Two legs given by foot and top, and the crossing bars between them."""
    shares = [1 - (1 - k / panels) ** 1.3 for k in range(panels + 1)]

    def on(leg: tuple[Point, Point], share: float) -> Point:
        (x0, y0), (x1, y1) = leg
        return x0 + (x1 - x0) * share, y0 + (y1 - y0) * share

    for leg in (left, right):
        line(image, *leg, colour, max(1.0, 0.006 * image.shape[0]))
    for low, high in itertools.pairwise(shares):
        line(image, on(left, low), on(right, high), colour, 1)
        line(image, on(right, low), on(left, high), colour, 1)


def _pine_tower(image: Image, x: float, base: float, tall: float, colour: Colour) -> list[Point]:
    """Three cross-arms, one circuit a side."""
    wide, top = 0.1 * tall, base - tall
    _lattice(image, ((x - wide, base), (x - 0.012, top)), ((x + wide, base), (x + 0.012, top)), colour, 7)
    return _arms(
        image, x, [(top + 0.08 * tall, 0.13), (top + 0.2 * tall, 0.18), (top + 0.32 * tall, 0.14)], tall, colour
    )


def _portal_tower(image: Image, x: float, base: float, tall: float, colour: Colour) -> list[Point]:
    """Two slender legs under one long beam."""
    wide, top = 0.13 * tall, base - tall
    for side in (-1, 1):
        foot, head = x + side * wide, x + side * 0.8 * wide
        _lattice(
            image, ((foot - 0.02, base), (head - 0.006, top)), ((foot + 0.02, base), (head + 0.006, top)), colour, 6
        )
    line(image, (x - 0.26 * tall, top), (x + 0.26 * tall, top), colour, max(1.0, 0.012 * image.shape[0]))
    return [_insulator(image, (x + share * 0.25 * tall, top), tall) for share in (-1.0, 0.0, 1.0)]


def _mono_pole(image: Image, x: float, base: float, tall: float, colour: Colour) -> list[Point]:
    """A tubular pole with two arms."""
    top = base - tall
    polygon(image, [(x - 0.012, base), (x - 0.005, top), (x + 0.005, top), (x + 0.012, base)], colour)
    return _arms(image, x, [(top + 0.04 * tall, 0.12), (top + 0.18 * tall, 0.16)], tall, colour)


_TOWERS = (_pine_tower, _portal_tower, _mono_pole)


def _arms(image: Image, x: float, arms: Sequence[Point], tall: float, colour: Colour) -> list[Point]:
    """Cross-arms at (height, reach relative to the tower); gives where the wires hang."""
    ends = []
    for y, reach in arms:
        for side in (-1, 1):
            end = (x + side * reach * tall, y)
            line(image, (x, y - 0.03 * tall), end, colour, 1)
            line(image, (x, y), end, colour, max(1.0, 0.005 * image.shape[0]))
            ends.append(_insulator(image, end, tall))
    return ends


def _insulator(image: Image, arm: Point, tall: float) -> Point:
    foot = (arm[0], arm[1] + 0.05 * tall)
    line(image, arm, foot, (120, 80, 60), max(1.0, 0.006 * image.shape[0]))
    return foot


def _disc(image: Image, x: float, y: float, radius: float, colour: Colour) -> None:
    """A disc whose radius is a share of the picture's width."""
    height, width = image.shape[:2]
    center = round((x * width - 0.5) * 16), round((y * height - 0.5) * 16)
    cv2.circle(image, center, max(8, round(radius * width * 16)), colour, -1, cv2.LINE_AA, 4)


def _glow(image: Image, x: float, y: float, radius: float, colour: Colour) -> None:
    """A bright disc with a halo, lighter than what is behind it."""
    height, width = image.shape[:2]
    reach = math.ceil(5 * radius * width)
    left, top = max(0, round(x * width) - reach), max(0, round(y * height) - reach)
    under = image[top : round(y * height) + reach, left : round(x * width) + reach]
    ys, xs = np.ogrid[top : top + under.shape[0], left : left + under.shape[1]]
    distance = np.sqrt((xs - x * width) ** 2 + (ys - y * height) ** 2).astype(np.float32) / (radius * width)
    strength = np.clip(np.where(distance < 1, 1, 0.55 * np.exp(1 - distance)), 0, 1)[..., None]
    under[:] = (under + strength * np.maximum(np.asarray(colour, np.float32) - under, 0)).astype(np.uint8)


def _faded(colour: Colour, light: Light, share: float) -> Colour:
    """A colour as seen through so much air, in this light."""
    red, green, blue = (
        round(min(255.0, light.gain * own * (1 - share) + far * share))
        for own, far in zip(colour, light.sky_low, strict=True)
    )
    return red, green, blue


def _mix(first: Colour, second: Colour, share: float | NDArray[np.float32]) -> NDArray[np.float32]:
    begin, end = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return np.asarray(begin + share * (end - begin), np.float32)
