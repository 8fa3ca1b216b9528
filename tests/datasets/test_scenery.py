from __future__ import annotations

import numpy as np
import pytest

from sanderling.datasets.scenery import LIGHTS, backdrop, conductors, corridor, ground_distractors, sky_distractors


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("size_hw", [(64, 80), (135, 97)])
def test_everything_can_be_drawn_at_any_size(light: object, size_hw: tuple[int, int]) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        image, horizon = backdrop(rng, size_hw, light)  # type: ignore[arg-type]
        assert image.shape == (*size_hw, 3)
        assert image.dtype == np.uint8
        assert 0.4 < horizon < 0.7
        changed = []
        for draw in (sky_distractors, ground_distractors, corridor):
            before = image.copy()
            draw(rng, image, horizon, light)  # type: ignore[arg-type]
            changed.append(not np.array_equal(before, image))
        assert changed[1:] == [True, True]


def test_towers_fill_the_picture_and_wires_join_neighbours() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        image, horizon = backdrop(rng, (128, 160), LIGHTS[0])
        wires = corridor(rng, image, horizon, LIGHTS[0])
        ends = {begin for begin, _, _ in wires} & {end for _, end, _ in wires}
        assert len(wires) >= 6
        assert ends
        before = image.copy()
        conductors(rng, image, wires, LIGHTS[0])
        assert not np.array_equal(before, image)
        assert all(sag >= 0 for _, _, sag in wires)


def test_sky_is_not_ground() -> None:
    image, horizon = backdrop(np.random.default_rng(3), (100, 100), LIGHTS[0])
    edge = round(100 * horizon)
    sky, ground = image[: edge // 2].mean(axis=(0, 1)), image[edge + 20 :].mean(axis=(0, 1))
    assert sky[2] > sky[0]
    assert ground[1] > ground[2]
