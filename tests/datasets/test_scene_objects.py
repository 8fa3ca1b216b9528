from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sanderling.datasets.scene_objects import OBJECTS, VISIBLE, Cutout, cloud_texture, paste, trimmed, visible_box


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("side", [12.0, 33.3, 120.0])
def test_objects_are_premultiplied_and_about_as_large_as_asked(name: str, side: float) -> None:
    draw: Callable[[np.random.Generator, float], Cutout] = OBJECTS[name]
    for seed in range(12):
        cutout = draw(np.random.default_rng(seed), side)
        assert cutout.dtype == np.uint8
        assert cutout.shape[2] == 4
        # Rounding of an anti-aliased edge may exceed by a level.
        assert (cutout[..., :3].astype(int) <= cutout[..., 3:].astype(int) + 2).all()
        part = trimmed(cutout)
        assert 0.3 * side <= max(part.shape[:2]) <= 1.3 * side


def test_visible_box_is_that_of_the_mask() -> None:
    cutout = np.zeros((7, 9, 4), np.uint8)
    cutout[2:5, 3:8, 3] = VISIBLE
    cutout[0, 0, 3] = VISIBLE - 1
    assert visible_box(cutout) == (3, 2, 8, 5)
    assert trimmed(cutout).shape == (3, 5, 4)
    assert visible_box(np.zeros((4, 4, 4), np.uint8)) is None
    assert trimmed(np.zeros((4, 4, 4), np.uint8)).size == 0


@pytest.mark.parametrize(("left", "top"), [(0, 0), (-3, -2), (6, 5), (3, -1), (40, 0), (-40, 0)])
def test_paste_lays_the_cutout_over_the_picture(left: int, top: int) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
    opacity = rng.integers(0, 256, (5, 6, 1))
    cutout = np.concatenate([rng.integers(0, 256, (5, 6, 3)) * opacity // 255, opacity], axis=2).astype(np.uint8)
    wanted = image.astype(int)
    for y in range(5):
        for x in range(6):
            if 0 <= y + top < 8 and 0 <= x + left < 10:
                *colour, alpha = cutout[y, x].astype(int)
                wanted[y + top, x + left] = colour + wanted[y + top, x + left] * (255 - alpha) // 255
    paste(image, cutout, left, top)
    assert np.array_equal(image, wanted)


def test_texture_is_within_bounds_and_of_the_size_asked() -> None:
    texture = cloud_texture(np.random.default_rng(0), (33, 57), zoom=0.5)
    assert texture.shape == (33, 57)
    assert texture.min() >= 0
    assert texture.max() <= 1
    assert texture.std() > 0.03
