from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.data.augment import AugmentConfig, Draws, draw
from sanderling.data.transforms.geometry import Tiles
from sanderling.data.transforms.layout import Plan, fits, lay_out
from sanderling.pictures import place
from sanderling.structures.artefact import PictureRule

SIZE_XY = np.array([96.0, 64.0])
ORIGINAL_XY = np.array([[120.0, 90.0], [64.0, 200.0], [31.0, 17.0], [96.0, 64.0], [500.0, 333.0]])


def _tiles(draws: Draws, *, nine: bool = False, turns: NDArray[np.float64] | None = None) -> Tiles:
    count = len(ORIGINAL_XY)
    plan = Plan(
        pictures=np.column_stack([np.arange(count), draws.partners]),
        tiles=np.where(draws.mosaic, 9 if nine else 4, 1),
        frames_xyxy=np.concatenate([np.zeros_like(ORIGINAL_XY), ORIGINAL_XY], axis=1),
        turns=np.tile(np.eye(2, 3), (count, 1, 1)) if turns is None else turns,
        size_xy=np.tile(SIZE_XY, (count, 1)),
    )
    return lay_out(plan, draws, original_xy=ORIGINAL_XY, resize="letterbox")


def _corners(tiles: Tiles) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return tiles.offset_xy, tiles.offset_xy + tiles.scale_xy * ORIGINAL_XY[tiles.source]


def _drawn(augment: AugmentConfig, seed: int = 0) -> Draws:
    return draw(augment, np.random.default_rng(seed), len(ORIGINAL_XY))


def test_without_variation_every_picture_is_fitted() -> None:
    tiles = _tiles(_drawn(AugmentConfig.none()))
    begin, end = _corners(tiles)
    assert tiles.source.tolist() == tiles.sample.tolist() == [0, 1, 2, 3, 4]
    assert np.abs(begin + end - SIZE_XY).max() <= 1  # borders are whole pixels
    assert ((end - begin) / SIZE_XY).max(axis=1) == pytest.approx(1)
    assert (tiles.limits_xyxy == np.concatenate([begin, end], axis=1)).all()
    assert not tiles.tilted.any()


def test_a_picture_alone_is_enlarged_about_the_middle_and_shifted_by_its_own_sides() -> None:
    neutral = _drawn(AugmentConfig.none())
    fitted_begin, fitted_end = _corners(_tiles(neutral))
    varied = dataclasses.replace(neutral, scale_xy=np.full((5, 2), 1.25), shift_xy=np.full((5, 2), (0.1, -0.2)))
    begin, end = _corners(_tiles(varied))
    assert end - begin == pytest.approx(1.25 * (fitted_end - fitted_begin))
    middle = SIZE_XY / 2 + ((fitted_begin + fitted_end) / 2 - SIZE_XY / 2) * 1.25
    assert (begin + end) / 2 == pytest.approx(middle + (fitted_end - fitted_begin) * (0.1, -0.2))


@pytest.mark.parametrize("seed", range(10))
def test_the_four_of_a_mosaic_touch_one_point_each_in_its_own_quarter(seed: int) -> None:
    draws = _drawn(AugmentConfig(mosaic=1.0, stretch=(0.8, 1.2)), seed)
    tiles = _tiles(draws)
    begin, end = _corners(tiles)
    assert tiles.sample.tolist() == np.repeat(range(5), 4).tolist()
    assert (tiles.source.reshape(5, 4)[:, 0] == range(5)).all()
    assert (tiles.source.reshape(5, 4)[:, 1:] == draws.partners[:, :3]).all()
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


@pytest.mark.parametrize("seed", range(5))
def test_the_nine_of_a_mosaic_stand_around_the_first_and_fill_what_is_there(seed: int) -> None:
    draws = _drawn(AugmentConfig(mosaic=1.0, scale=(0.5, 1.5)), seed)
    tiles = _tiles(draws, nine=True)
    begin, end = (corner.reshape(5, 9, 2) for corner in _corners(tiles))
    limits = tiles.limits_xyxy.reshape(5, 9, 4)
    assert (tiles.source.reshape(5, 9)[:, 0] == range(5)).all()
    areas = (limits[:, :, 2:] - limits[:, :, :2]).prod(axis=2)
    assert areas.sum(axis=1) == pytest.approx(np.full(5, SIZE_XY.prod()))
    first_begin, first_end = begin[:, 0], end[:, 0]
    assert end[:, 1] == pytest.approx(first_begin)  # the left upper one
    assert begin[:, 8] == pytest.approx(first_end)
    assert end[:, 2, 1] == pytest.approx(first_begin[:, 1])  # the one above, in the same column
    assert (begin[:, 2, 0] + end[:, 2, 0]) / 2 == pytest.approx((first_begin + first_end)[:, 0] / 2)


def test_a_turn_keeps_the_middle_and_a_shift_moves_everything() -> None:
    neutral = _drawn(AugmentConfig.none())
    quarter = np.tile(np.array([[0.0, -1, 0], [1, 0, 0]]), (5, 1, 1))
    turned = _tiles(neutral, turns=quarter)
    assert turned.tilted.all()
    moved = turned.turns[:, :, :2] @ (SIZE_XY / 2) + turned.turns[:, :, 2]
    assert moved == pytest.approx(np.tile(SIZE_XY / 2, (5, 1)))
    assert (turned.limits_xyxy == [0, 0, 96, 64]).all()

    shifted = _tiles(neutral, turns=np.tile(np.array([[1.0, 0, 7], [0, 1, -3]]), (5, 1, 1)))
    assert not shifted.tilted.any()
    assert shifted.offset_xy - _tiles(neutral).offset_xy == pytest.approx(np.tile([7.0, -3], (5, 1)))


def test_a_frame_is_fitted_in_place_of_the_picture() -> None:
    draws = _drawn(AugmentConfig.none())
    plan = Plan(
        pictures=np.column_stack([np.arange(5), draws.partners]),
        tiles=np.ones(5, np.int64),
        frames_xyxy=ORIGINAL_XY[:, [0, 1, 0, 1]] * (0.25, 0.25, 0.75, 0.75),
        turns=np.tile(np.eye(2, 3), (5, 1, 1)),
        size_xy=np.tile(SIZE_XY, (5, 1)),
    )
    tiles = lay_out(plan, draws, original_xy=ORIGINAL_XY, resize="stretch")
    assert tiles.offset_xy + tiles.scale_xy * ORIGINAL_XY / 4 == pytest.approx(np.zeros((5, 2)), abs=1e-9)
    assert tiles.offset_xy + tiles.scale_xy * ORIGINAL_XY * 0.75 == pytest.approx(np.tile(SIZE_XY, (5, 1)))


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_many_are_fitted_as_one_is(resize: Literal["letterbox", "stretch"]) -> None:
    sizes_xy = np.random.default_rng(0).integers(1, 700, (200, 2)).astype(np.float64)
    scale, offset = fits(sizes_xy, np.tile([160.0, 96.0], (200, 1)), resize)
    for (width, height), scale_xy, offset_xy in zip(sizes_xy.astype(int).tolist(), scale, offset, strict=True):
        matrix = place((height, width), PictureRule(size_hw=(96, 160), resize=resize)).matrix
        assert (matrix[[0, 1], [0, 1]] == scale_xy).all()
        assert (matrix[:, 2] == offset_xy).all()
