from __future__ import annotations

import colorsys
import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.data.augment import AugmentConfig, Draws, draw
from sanderling.data.transforms.colour import changes_colour, colour_matrices, recolour

NEUTRAL = draw(AugmentConfig.none(), np.random.default_rng(0), 1)


def _draws(brightness: float = 0.0, contrast: float = 1.0, saturation: float = 1.0, hue: float = 0.0) -> Draws:
    return dataclasses.replace(
        NEUTRAL,
        brightness=np.array([brightness]),
        contrast=np.array([contrast]),
        saturation=np.array([saturation]),
        hue=np.array([hue]),
    )


def _recoloured(image: NDArray[np.uint8], draws: Draws) -> NDArray[np.uint8]:
    changed = image.copy()
    recolour(changed, colour_matrices(draws)[0])
    return changed


def _step_by_step(image: NDArray[np.uint8], draws: Draws) -> NDArray[np.float64]:
    """Brightness, contrast, saturation one after the other in floating point."""
    pixels = image / 255 + draws.brightness[0]
    pixels = pixels * draws.contrast[0]
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    pixels = luma[..., None] + draws.saturation[0] * (pixels - luma[..., None])
    return np.asarray(pixels * 255)


@pytest.mark.parametrize("seed", range(20))
def test_one_matrix_does_what_the_steps_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (37, 53, 3), np.uint8)
    draws = _draws(rng.uniform(-0.2, 0.2), rng.uniform(0.6, 1.4), rng.uniform(0.5, 1.2))
    expected = np.clip(_step_by_step(image, draws), 0, 255)
    assert np.abs(_recoloured(image, draws) - expected).max() <= 1.5


def test_neutral_changes_nothing_and_says_so() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    assert (_recoloured(image, _draws()) == image).all()
    assert not changes_colour(_draws())[0]


@pytest.mark.parametrize("change", [{"brightness": 0.1}, {"contrast": 1.1}, {"saturation": 0.9}, {"hue": 0.01}])
def test_every_change_is_noticed(change: dict[str, float]) -> None:
    assert changes_colour(_draws(**change))[0]


def test_saturation_zero_is_grey_and_grey_stays_grey() -> None:
    image = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    assert np.ptp(_recoloured(image, _draws(saturation=0.0)).astype(int), axis=2).max() <= 1
    grey = np.repeat(image[:, :, :1], 3, axis=2)
    assert np.abs(_recoloured(grey, _draws(saturation=1.7, hue=0.3)).astype(int) - grey).max() <= 1


@pytest.mark.parametrize("turn", [1 / 3, -1 / 3, 0.1])
def test_hue_turns_the_way_of_the_colour_circle(turn: float) -> None:
    red, green, blue = _recoloured(np.full((1, 1, 3), (170, 90, 90), np.uint8), _draws(hue=turn))[0, 0] / 255
    found = colorsys.rgb_to_hsv(red, green, blue)[0]
    assert abs((found - turn + 0.5) % 1 - 0.5) < 0.08


def test_works_in_place_on_a_row_of_a_batch() -> None:
    images = np.random.default_rng(2).integers(0, 256, (3, 16, 20, 3), np.uint8)
    before = images.copy()
    draws = _draws(brightness=0.1, saturation=0.5)
    recolour(images[1], colour_matrices(draws)[0])
    assert (images[1] == _recoloured(before[1], draws)).all()
    assert (images[[0, 2]] == before[[0, 2]]).all()
