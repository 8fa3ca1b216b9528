from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from sanderling.data.transforms import tone

Pixels = NDArray[np.uint8]


def _pictures() -> dict[str, Pixels]:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:61, :83]
    smooth = np.stack([x * 2 + 40, y * 3, (x + y) + 20], axis=2).astype(np.uint8)
    return {
        "noise": rng.integers(0, 256, (61, 83, 3), np.uint8),
        "smooth": smooth,
        "dark": (rng.integers(0, 256, (60, 47, 3)) ** 2 // 700 + 9).astype(np.uint8),
        "one colour": np.full((20, 31, 3), (17, 130, 240), np.uint8),
        "two values": rng.choice(np.array([3, 200], np.uint8), (40, 33, 3)),
        "one channel flat": np.dstack([smooth[..., :2], np.full((61, 83), 77, np.uint8)]),
        "tiny": rng.integers(0, 256, (2, 3, 3), np.uint8),
        "small": rng.integers(0, 256, (3, 5, 3), np.uint8),
        "one pixel": np.full((1, 1, 3), 90, np.uint8),
        "few pixels": rng.integers(0, 256, (16, 17, 3), np.uint8),
    }


PICTURES = _pictures()
FACTORS = [0.1, 0.46, 0.82, 1.0, 1.18, 1.54, 1.9]


def _far(image: Pixels, expected: Image.Image, change: Callable[..., None], *how: Any) -> int:
    """Largest difference after `change(image, *how)`, of the picture alone and as a region of a larger one."""
    alone = image.copy()
    change(alone, *how)
    height, width = image.shape[:2]
    around = np.full((height + 5, width + 7, 3), 201, np.uint8)
    region = around[2 : 2 + height, 3 : 3 + width]
    region[:] = image
    change(region, *how)
    assert (region == alone).all()
    around[2 : 2 + height, 3 : 3 + width] = 201
    assert (around == 201).all()
    return int(np.abs(alone.astype(int) - np.asarray(expected)).max())


@pytest.mark.parametrize("name", PICTURES)
class TestLikePillow:
    def test_posterize(self, name: str) -> None:
        image = PICTURES[name]
        for bits in range(1, 9):
            expected = ImageOps.posterize(Image.fromarray(image), bits)
            assert _far(image, expected, tone.posterize, bits) == 0

    def test_solarize(self, name: str) -> None:
        image = PICTURES[name]
        for threshold in [0, 1, 77, 128, 204, 255, 256]:
            expected = ImageOps.solarize(Image.fromarray(image), threshold)
            assert _far(image, expected, tone.solarize, threshold) == 0

    def test_solarize_add(self, name: str) -> None:
        image = PICTURES[name]
        for addition in [0, 22, 110, 200]:
            table = [min(255, value + addition) if value < 128 else value for value in range(256)] * 3
            expected = Image.fromarray(image).point(table)
            assert _far(image, expected, tone.solarize_add, addition) == 0

    def test_equalize(self, name: str) -> None:
        image = PICTURES[name]
        assert _far(image, ImageOps.equalize(Image.fromarray(image)), tone.equalize) == 0

    def test_autocontrast(self, name: str) -> None:
        image = PICTURES[name]
        assert _far(image, ImageOps.autocontrast(Image.fromarray(image)), tone.autocontrast) <= 1

    def test_sharpness(self, name: str) -> None:
        image = PICTURES[name]
        for factor in FACTORS:
            expected = ImageEnhance.Sharpness(Image.fromarray(image)).enhance(factor)
            assert _far(image, expected, tone.sharpen, factor) <= (1 if factor != 1 else 0)

    def test_brightness(self, name: str) -> None:
        image = PICTURES[name]
        for factor in FACTORS:
            expected = ImageEnhance.Brightness(Image.fromarray(image)).enhance(factor)
            matrix = tone.brightness_matrix(factor)
            assert _far(image, expected, tone.apply_matrix, matrix) <= 1

    def test_colour(self, name: str) -> None:
        image = PICTURES[name]
        for factor in FACTORS:
            expected = ImageEnhance.Color(Image.fromarray(image)).enhance(factor)
            matrix = tone.colour_matrix(factor)
            assert _far(image, expected, tone.apply_matrix, matrix) <= 1

    def test_contrast(self, name: str) -> None:
        image = PICTURES[name]
        for factor in FACTORS:
            expected = ImageEnhance.Contrast(Image.fromarray(image)).enhance(factor)
            matrix = tone.contrast_matrix(image, factor)
            assert _far(image, expected, tone.apply_matrix, matrix) <= 1


def test_each_does_something() -> None:
    for change in (
        lambda pixels: tone.posterize(pixels, 2),
        lambda pixels: tone.solarize(pixels, 100),
        lambda pixels: tone.solarize_add(pixels, 50),
        tone.equalize,
        tone.autocontrast,
        lambda pixels: tone.sharpen(pixels, 1.9),
        lambda pixels: tone.apply_matrix(pixels, tone.contrast_matrix(pixels, 1.9)),
    ):
        image = PICTURES["smooth"].copy()
        change(image)
        assert (image != PICTURES["smooth"]).mean() > 0.2


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (0, 0, 3)])
def test_nothing_stays_nothing(shape: tuple[int, int, int]) -> None:
    empty = np.zeros(shape, np.uint8)
    tone.posterize(empty, 4)
    tone.equalize(empty)
    tone.autocontrast(empty)
    tone.sharpen(empty, 0.5)
    tone.apply_matrix(empty, tone.contrast_matrix(empty, 0.5))
    assert empty.shape == shape
