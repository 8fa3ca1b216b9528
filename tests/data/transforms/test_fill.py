from __future__ import annotations

import numpy as np
import pytest

from sanderling.data.transforms.fill import MEAN_RGB, Fill, colour_of, flood, paint, region_of


@pytest.mark.parametrize(("fill", "rgb"), [("mean", MEAN_RGB), (0, (0, 0, 0)), (128, (128, 128, 128))])
def test_paints_just_what_is_marked(fill: Fill, rgb: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (37, 53, 3), np.uint8)
    before = image.copy()
    mask = rng.integers(0, 2, (37, 53), np.uint8)
    paint(image, mask, fill)
    assert (image[mask == 1] == rgb).all()
    assert (image[mask == 0] == before[mask == 0]).all()
    assert tuple(colour_of(fill).tolist()) == rgb


def test_paints_into_a_view() -> None:
    batch = np.full((2, 12, 20, 3), 9, np.uint8)
    paint(batch[1, 2:7, 3:11], np.ones((5, 8), np.uint8), 200)
    expected = np.full((2, 12, 20, 3), 9, np.uint8)
    expected[1, 2:7, 3:11] = 200
    assert (batch == expected).all()


def test_floods_a_view_alone() -> None:
    image = np.full((12, 20, 3), 9, np.uint8)
    flood(image[2:7, 3:11], "mean")
    assert (image[2:7, 3:11] == MEAN_RGB).all()
    image[2:7, 3:11] = 9
    flood(image[4:4], 0)
    assert (image == 9).all()


def test_a_region_is_cut_to_the_picture_and_rounded() -> None:
    image = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    assert (region_of(image, [1.4, 0.6, 3.6, 2.4]) == image[1:2, 1:4]).all()
    assert (region_of(image, [-5.0, -5.0, 99.0, 99.0]) == image).all()
    for outside in ([9.0, 1.0, 12.0, 3.0], [-4.0, 1.0, -2.0, 3.0], [3.0, 4.0, 3.0, 5.0], [2.0, -9.0, 5.0, -1.0]):
        assert region_of(image, outside).size == 0
