from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling import config
from sanderling.data.transforms.cutout import CutoutConfig, cut_out, cut_out_grid
from sanderling.data.transforms.fill import MEAN_RGB
from sanderling.errors import UsageError


def _cut(augment: CutoutConfig, seed: int = 0, size: tuple[int, int] = (60, 100)) -> NDArray[np.bool_]:
    image = np.full((*size, 3), 255, np.uint8)
    cut_out(image, augment, np.random.default_rng(seed))
    return np.asarray((image != 255).any(2))


@pytest.mark.parametrize("augment", [CutoutConfig(), CutoutConfig(fill="mean", count=3)])
def test_survives_being_written_and_read(augment: CutoutConfig) -> None:
    text = config.dump_yaml(config.plain(augment))
    assert config.parse(CutoutConfig, config.load_yaml(text, source="x")) == augment


@pytest.mark.parametrize("wrong", [{"side": 0}, {"side": 1.5}, {"count": 0}, {"fill": 300}, {"fill": "random"}])
def test_refuses_what_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        config.parse(CutoutConfig, wrong)


def test_a_square_of_which_at_most_half_in_each_direction_lies_outside() -> None:
    heights, widths = set(), set()
    for seed in range(400):
        mask = _cut(CutoutConfig(), seed)
        height, width = mask.any(1).sum(), mask.any(0).sum()
        assert mask.sum() == height * width
        heights.add(int(height))
        widths.add(int(width))
    assert max(heights) == max(widths) == 30
    assert 15 <= min(heights) <= 17
    assert 15 <= min(widths) <= 17


def test_every_pixel_can_be_cut() -> None:
    seen = np.mean([_cut(CutoutConfig(side=0.3), seed) for seed in range(500)], axis=0)
    assert seen.min() > 0


def test_count_probability_and_fill() -> None:
    assert np.mean([_cut(CutoutConfig(probability=0.3), seed).any() for seed in range(400)]) == pytest.approx(
        0.3, abs=0.07
    )
    one, four = (
        np.mean([_cut(CutoutConfig(side=0.1, count=count), seed).sum() for seed in range(60)]) for count in (1, 4)
    )
    assert four == pytest.approx(4 * one, rel=0.15)
    image = np.full((20, 31, 3), 255, np.uint8)
    cut_out(image, CutoutConfig(fill="mean"), np.random.default_rng(0))
    assert {tuple(colour) for colour in image.reshape(-1, 3).tolist()} == {MEAN_RGB, (255, 255, 255)}


def _matrix(angle: float, scale_x: float, scale_y: float, offset: tuple[float, float]) -> NDArray[np.float64]:
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.array([[cos * scale_x, -sin * scale_y, offset[0]], [sin * scale_x, cos * scale_y, offset[1]]])


@pytest.mark.parametrize(
    "matrix",
    [
        _matrix(0, 1, 1, (0, 0)),
        _matrix(0, 0.31, 0.57, (4.3, -6.1)),
        _matrix(0, -0.5, 0.5, (61, 0)),
        _matrix(25, 0.6, 0.4, (20.2, 1.1)),
        _matrix(-110, 0.37, 0.8, (40, 50)),
        _matrix(0, 0.5, 0.5, (500, 500)),
    ],
)
@pytest.mark.parametrize("cells", [1, 5, 13])
def test_the_marked_cells_land_where_the_matrix_says(matrix: NDArray[np.float64], cells: int) -> None:
    original_hw, size = (83, 121), (47, 61)
    rng = np.random.default_rng(cells)
    grid = rng.random((cells, cells)) < 0.4
    image = np.full((*size, 3), 200, np.uint8)
    cut_out_grid(image, grid, matrix, original_hw=original_hw, fill=3)

    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    compared = 0
    for row, column in itertools.product(range(size[0]), range(size[1])):
        x, y, _ = back @ (column + 0.5, row + 0.5, 1)
        cell_x, cell_y = x / original_hw[1] * cells, y / original_hw[0] * cells
        if min(abs(cell_x - round(cell_x)), abs(cell_y - round(cell_y))) < 0.02:
            continue  # on the line between two cells
        inside = 0 <= cell_x < cells and 0 <= cell_y < cells
        expected = 3 if inside and grid[int(cell_y), int(cell_x)] else 200
        assert (image[row, column] == expected).all()
        compared += 1
    assert compared > 0.8 * size[0] * size[1]


def test_no_marked_cell_changes_nothing_and_all_cover_the_picture() -> None:
    image = np.full((30, 40, 3), 200, np.uint8)
    identity = _matrix(0, 1, 1, (0, 0))
    cut_out_grid(image, np.zeros((7, 7), bool), identity, original_hw=(30, 40))
    assert (image == 200).all()
    cut_out_grid(image, np.ones((7, 7), bool), identity, original_hw=(30, 40))
    assert (image == 0).all()


def test_a_grid_cuts_into_a_view_alone() -> None:
    sample = np.full((40, 60, 3), 200, np.uint8)
    matrix = _matrix(0, 0.5, 0.5, (0, 0))
    cut_out_grid(sample[10:30, 20:50], np.ones((4, 4), bool), matrix, original_hw=(100, 100))
    expected = np.full((40, 60, 3), 200, np.uint8)
    expected[10:30, 20:50] = 0
    assert (sample == expected).all()
