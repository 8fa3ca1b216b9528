"""Rendered corridor scenes with exact boxes: a data set that needs no download.

A scene is a function of its seed: sky, ground, towers and conductors, nought to four objects (fire, smoke, crane,
kite) of which about every other is smaller than 32 x 32 px at the usual sizes, and things that only look like them.
Every box encloses exactly the pixels in which its object is visible, in edge coordinates.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sanderling.datasets.new_folder import new_folder
from sanderling.datasets.scene_objects import OBJECTS, VISIBLE, Cutout, paste, trimmed, visible_box
from sanderling.datasets.scenery import (
    LIGHTS,
    Light,
    backdrop,
    conductors,
    corridor,
    ground_distractors,
    sky_distractors,
)
from sanderling.errors import DataError, UsageError
from sanderling.structures.sample import Sample

SCENE_CLASSES: tuple[str, ...] = tuple(OBJECTS)

_SMALLEST_SIDE = 64
_JPEG_QUALITY = 92
_TRIES = 12
_LARGEST_OVERLAP = 0.1
_LEAST_CONTRAST = 30
_FIRE = SCENE_CLASSES.index("fire")
_SMOKE_OVER_FIRE = 0.5
# Shortest and longest side, px in a picture of 256 x 320: sizes are spread evenly over the octaves between.
_SIDES = {"fire": (14, 90), "smoke": (24, 130), "crane": (24, 150), "kite": (16, 64)}
_COUNTS = (0.08, 0.22, 0.3, 0.25, 0.15)
"""Share of scenes that try to show 0, 1, 2, ... objects."""
_LIGHT_SHARES = (0.22, 0.22, 0.2, 0.14, 0.13, 0.09)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Placed:
    label: int
    box_xyxy: tuple[int, int, int, int]


def render_scene(seed: int, *, size_hw: tuple[int, int] = (256, 320)) -> Sample:
    """Render one scene.

    Args:
        seed: not negative; the same seed and size give the same scene.
        size_hw: height and width in pixels, at least 64 each.

    Returns:
        The picture with its boxes; `labels` index `SCENE_CLASSES` and `picture_id` is the seed.

    Raises:
        UsageError: the size is too small or the seed negative.

    Example:
        >>> sample = render_scene(7, size_hw=(96, 128))
        >>> sample.image.shape
        (96, 128, 3)
    """
    if min(size_hw) < _SMALLEST_SIDE:
        raise UsageError(f"size_hw = {size_hw}: a scene needs at least {_SMALLEST_SIDE} px a side")
    if seed < 0:
        raise UsageError(f"seed = {seed}: a seed is not negative")
    rng = np.random.default_rng(seed)
    light = LIGHTS[int(rng.choice(len(LIGHTS), p=_LIGHT_SHARES))]
    image, horizon = backdrop(rng, size_hw, light)
    sky_distractors(rng, image, horizon, light)
    ground_distractors(rng, image, horizon, light)
    wires = corridor(rng, image, horizon, light)
    behind = rng.random() < 0.5
    if behind:
        conductors(rng, image, wires, light)
    placed = _objects(rng, image, horizon, light)
    if not behind:
        conductors(rng, image, wires, light)
    image = _developed(rng, image)
    count = len(placed)
    return Sample(
        image=image,
        boxes_xyxy=np.array([entry.box_xyxy for entry in placed], np.float32).reshape(-1, 4),
        labels=np.array([entry.label for entry in placed], np.int64),
        weights=np.ones(count, np.float32),
        crowd=np.zeros(count, np.bool_),
        difficult=np.zeros(count, np.bool_),
        picture_id=seed,
        original_size_hw=size_hw,
    )


def write_scenes(folder: Path, *, train: int, val: int, seed: int = 0, size_hw: tuple[int, int] = (256, 320)) -> Path:
    """Render a COCO data set: `annotations/instances_SPLIT.json` and `images/SPLIT`, for train and val.

    Args:
        folder: the new folder; it appears whole or not at all.
        train: how many pictures to train on.
        val: how many to hold back; the same for any number of `train`.
        seed: the same seed gives the same pictures.
        size_hw: height and width in pixels.

    Returns:
        `folder`.

    Raises:
        UsageError: `folder` exists already, a count below 1, or a size or seed that `render_scene` refuses.
    """
    for name, count in (("train", train), ("val", val)):
        if count < 1:
            raise UsageError(f"{name} = {count}: a split needs at least one picture")
    if seed < 0:
        raise UsageError(f"seed = {seed}: a seed is not negative")
    with new_folder(folder) as draft:
        (draft / "annotations").mkdir()
        for number, (split, count) in enumerate((("train", train), ("val", val))):
            pictures = draft / "images" / split
            pictures.mkdir(parents=True)
            seeds = np.random.SeedSequence([seed, number]).generate_state(count, np.uint64)
            document = _coco(pictures, (render_scene(int(own), size_hw=size_hw) for own in seeds))
            target = draft / "annotations" / f"instances_{split}.json"
            target.write_text(json.dumps(document), encoding="utf-8")
    return folder


def _coco(folder: Path, samples: Iterator[Sample]) -> dict[str, Any]:
    """Write the pictures as JPEG and give their COCO document."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, sample in enumerate(samples, start=1):
        name = f"scene_{number:05d}.jpg"
        good, data = cv2.imencode(".jpg", sample.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if not good:
            raise DataError(f"{folder / name}: could not be written as JPEG")
        (folder / name).write_bytes(data.tobytes())
        height, width = sample.original_size_hw
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for (left, top, right, bottom), label in zip(sample.boxes_xyxy.tolist(), sample.labels.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": label + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": index, "name": name} for index, name in enumerate(SCENE_CLASSES, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _objects(rng: np.random.Generator, image: NDArray[np.uint8], horizon: float, light: Light) -> list[_Placed]:
    """Paste the objects; none hides more than a tenth of another."""
    placed: list[_Placed] = []
    # In this order smoke comes last and can stand on a fire.
    names = sorted(rng.choice(SCENE_CLASSES, int(rng.choice(len(_COUNTS), p=_COUNTS))).tolist())
    for name in names:
        for _ in range(_TRIES):
            cutout, left, top = _candidate(rng, name, image.shape[0], image.shape[1], horizon)
            fires = [entry.box_xyxy for entry in placed if entry.label == _FIRE]
            if name == "smoke" and fires and rng.random() < _SMOKE_OVER_FIRE:
                left, top = _above(fires[-1], cutout)
            box = _shown(cutout, left, top, image.shape[0], image.shape[1])
            if box is None or _crowded(box, placed):
                continue
            cutout = _aired(rng, cutout, light, glowing=name == "fire")
            before = image.copy()
            paste(image, cutout, left, top)
            where = np.s_[box[1] : box[3], box[0] : box[2]]
            seen = cutout[box[1] - top : box[3] - top, box[0] - left : box[2] - left, 3] >= VISIBLE
            if cv2.absdiff(image[where], before[where])[seen].mean() < _LEAST_CONTRAST:
                # Nobody could see it: it must not be asked for, nor stand there without a box.
                image[:] = before
                continue
            placed.append(_Placed(label=SCENE_CLASSES.index(name), box_xyxy=box))
            break
    return placed


def _candidate(rng: np.random.Generator, name: str, height: int, width: int, horizon: float) -> tuple[Cutout, int, int]:
    """An object of random size and where its left upper corner could be."""
    scale = math.sqrt(height * width / (256 * 320))
    shortest, longest = (scale * side for side in _SIDES[name])
    side = shortest * (longest / shortest) ** rng.uniform(0, 1)
    cutout = trimmed(OBJECTS[name](rng, side))
    tall, wide = cutout.shape[:2]
    left = int(rng.integers(-wide // 6, max(1, width - 5 * wide // 6)))
    if name == "kite":
        return cutout, left, int(rng.integers(-tall // 6, max(1, round(horizon * height) - tall // 2)))
    # Things on the ground stand lower, that is nearer, the larger they are.
    nearness = np.clip(side / longest + rng.normal(0, 0.15), 0.02, 1)
    floor = (horizon + 0.02 + (0.97 - horizon) * float(nearness)) * height
    return cutout, left, round(floor) - tall


def _above(fire_xyxy: tuple[int, int, int, int], cutout: Cutout) -> tuple[int, int]:
    """Where a plume's left upper corner must be for its foot to stand on a fire."""
    foot = np.flatnonzero((cutout[-max(1, len(cutout) // 10) :, :, 3] >= VISIBLE).any(axis=0))
    left = (fire_xyxy[0] + fire_xyxy[2]) / 2 - (float(foot.mean()) if len(foot) else cutout.shape[1] / 2)
    return round(left), fire_xyxy[1] + (fire_xyxy[3] - fire_xyxy[1]) // 10 - cutout.shape[0]


def _shown(cutout: Cutout, left: int, top: int, height: int, width: int) -> tuple[int, int, int, int] | None:
    """The box of what the picture shows of a cutout; None when that is less than two thirds of it."""
    x, y = max(0, left), max(0, top)
    part = cutout[y - top : max(0, height - top), x - left : max(0, width - left)]
    box = visible_box(part) if part.size else None
    if box is None or part.shape[0] * part.shape[1] * 3 < 2 * cutout.shape[0] * cutout.shape[1]:
        return None
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y


def _crowded(box: tuple[int, int, int, int], placed: list[_Placed]) -> bool:
    """Whether a box shares more than a tenth of the smaller area with one that is already there."""
    for entry in placed:
        other = entry.box_xyxy
        wide = min(box[2], other[2]) - max(box[0], other[0])
        tall = min(box[3], other[3]) - max(box[1], other[1])
        smaller = min((one[2] - one[0]) * (one[3] - one[1]) for one in (box, other))
        if wide > 0 and tall > 0 and wide * tall > _LARGEST_OVERLAP * smaller:
            return True
    return False


def _aired(rng: np.random.Generator, cutout: Cutout, light: Light, *, glowing: bool) -> Cutout:
    """The cutout in the scene's light and seen through its air; opacity stays. Fire gives its own light."""
    fade, gain = rng.uniform(0, 0.5) * light.haze, 1.0 if glowing else light.gain
    opacity = cutout[..., 3:].astype(np.float32)
    air = opacity / 255 * np.asarray(light.sky_low, np.float32)
    colour = np.clip((1 - fade) * gain * cutout[..., :3] + fade * air, 0, opacity)
    return np.concatenate([colour, opacity], axis=2).astype(np.uint8)


def _developed(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What lens and sensor add: a little blur, brightness, contrast, colour cast and noise."""
    if rng.random() < 0.5:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.8)), np.uint8)
    gain = rng.uniform(0.85, 1.15) * rng.uniform(0.96, 1.04, 3)
    table = np.clip(np.arange(256)[:, None] * gain + rng.uniform(-15, 15), 0, 255).astype(np.uint8)
    image = np.asarray(cv2.LUT(image, table.reshape(1, 256, 3)), np.uint8)
    height, width = image.shape[:2]
    grain = _grain(height, width)
    top, left = (int(offset) for offset in rng.integers(_GRAIN_MARGIN, size=2))
    noise = grain[top : top + height, left : left + width]
    lighter = cv2.multiply(noise, np.full(3, 1.0), scale=rng.uniform(0.15, 0.8), dtype=cv2.CV_16S)
    return np.asarray(cv2.add(image, lighter, dtype=cv2.CV_8U), np.uint8)


_GRAIN_MARGIN = 64


@functools.lru_cache(maxsize=4)
def _grain(height: int, width: int) -> NDArray[np.int16]:
    """Sensor noise a little larger than a picture, the same in every process; each scene takes a window of it."""
    generator = np.random.default_rng(21)
    noise = generator.normal(0, 8, (height + _GRAIN_MARGIN, width + _GRAIN_MARGIN, 3))
    return np.asarray(noise, np.int16)
