from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.data.augment import AugmentConfig, Draws, draw
from sanderling.data.transforms.geometry import Tiles
from sanderling.data.transforms.layout import lay_out

SIZE_XY = np.array([96.0, 64.0])
ORIGINAL_XY = np.array([[120.0, 90.0], [64.0, 200.0], [31.0, 17.0], [96.0, 64.0], [500.0, 333.0]])


def _tiles(draws: Draws) -> Tiles:
    """Letterboxed without rounding."""
    scale = (SIZE_XY / ORIGINAL_XY).min(axis=1, keepdims=True).repeat(2, axis=1)
    offset = (SIZE_XY - scale * ORIGINAL_XY) / 2
    return lay_out(draws, original_xy=ORIGINAL_XY, fit_scale_xy=scale, fit_offset_xy=offset, size_xy=SIZE_XY)


def _corners(tiles: Tiles) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return tiles.offset_xy, tiles.offset_xy + tiles.scale_xy * ORIGINAL_XY[tiles.source]


def _drawn(augment: AugmentConfig, seed: int = 0) -> Draws:
    return draw(augment, np.random.default_rng(seed), len(ORIGINAL_XY))


def test_without_variation_every_picture_is_fitted() -> None:
    tiles = _tiles(_drawn(AugmentConfig.none()))
    begin, end = _corners(tiles)
    assert tiles.source.tolist() == tiles.sample.tolist() == [0, 1, 2, 3, 4]
    assert begin + end == pytest.approx(np.tile(SIZE_XY, (5, 1)))
    assert ((end - begin) / SIZE_XY).max(axis=1) == pytest.approx(1)
    assert (tiles.limits_xyxy == [0, 0, 96, 64]).all()


def test_a_picture_alone_is_enlarged_about_the_middle_and_shifted_by_its_own_sides() -> None:
    neutral = _drawn(AugmentConfig.none())
    fitted_begin, fitted_end = _corners(_tiles(neutral))
    varied = dataclasses.replace(neutral, scale_xy=np.full((5, 2), 1.25), shift_xy=np.full((5, 2), (0.1, -0.2)))
    begin, end = _corners(_tiles(varied))
    assert end - begin == pytest.approx(1.25 * (fitted_end - fitted_begin))
    assert (begin + end) / 2 == pytest.approx(SIZE_XY / 2 + (fitted_end - fitted_begin) * (0.1, -0.2))


@pytest.mark.parametrize("seed", range(10))
def test_the_four_of_a_mosaic_touch_one_point_each_in_its_own_quarter(seed: int) -> None:
    draws = _drawn(AugmentConfig(mosaic=1.0, stretch=(0.8, 1.2)), seed)
    tiles = _tiles(draws)
    begin, end = _corners(tiles)
    assert tiles.sample.tolist() == np.repeat(range(5), 4).tolist()
    assert (tiles.source.reshape(5, 4)[:, 0] == range(5)).all()
    assert (tiles.source.reshape(5, 4)[:, 1:] == draws.partners).all()
    for first in range(0, 20, 4):
        centre = end[first]
        touching = [end[first], (begin[first + 1][0], end[first + 1][1])]
        touching += [(end[first + 2][0], begin[first + 2][1]), begin[first + 3]]
        assert np.array(touching) == pytest.approx(np.tile(centre, (4, 1)))
        limits = tiles.limits_xyxy[first : first + 4]
        areas = (limits[:, 2:] - limits[:, :2]).prod(axis=1)
        assert areas.sum() == pytest.approx(SIZE_XY.prod())
        assert (limits[0, 2:] == limits[3, :2]).all()


def test_samples_with_and_without_mosaic_stand_side_by_side() -> None:
    draws = dataclasses.replace(_drawn(AugmentConfig()), mosaic=np.array([False, True, False, True, False]))
    assert _tiles(draws).sample.tolist() == [0, 1, 1, 1, 1, 2, 3, 3, 3, 3, 4]
