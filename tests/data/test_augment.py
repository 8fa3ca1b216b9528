from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest

from sanderling import config
from sanderling.data.augment import AugmentConfig, BatchSizes, StitcherConfig, draw, draw_turns, joined
from sanderling.data.transforms.auto_augment import AutoAugmentConfig
from sanderling.data.transforms.blend import CutMixConfig, MixupConfig
from sanderling.data.transforms.crop import CropConfig
from sanderling.data.transforms.cutout import ActivationCutoutConfig, CutoutConfig
from sanderling.data.transforms.erase import RandomErasingConfig
from sanderling.data.transforms.expand import ExpandConfig
from sanderling.data.transforms.grid_mask import GridMaskConfig
from sanderling.errors import UsageError


def _draw(augment: AugmentConfig, count: int = 16, seed: int = 0, *, mosaic: bool = True) -> Any:
    return draw(augment, np.random.default_rng(seed), count, mosaic=mosaic)


EVERYTHING = AugmentConfig(
    mosaic=0.5,
    mosaic_tiles=9,
    mixup=MixupConfig(),
    cutmix=CutMixConfig(),
    expand=ExpandConfig(),
    crop=CropConfig(),
    auto_augment=AutoAugmentConfig(),
    erase=RandomErasingConfig(),
    cutout=CutoutConfig(),
    activation_cutout=ActivationCutoutConfig(),
    stitcher=StitcherConfig(),
    grid_mask=GridMaskConfig(),
    sizes=BatchSizes(),
)


@pytest.mark.parametrize(
    "augment", [AugmentConfig(), AugmentConfig.none(), AugmentConfig(mosaic=0.5, hue=0.02), EVERYTHING]
)
def test_survives_being_written_and_read(augment: AugmentConfig) -> None:
    assert config.parse(AugmentConfig, config.load_yaml(config.dump_yaml(config.plain(augment)), source="x")) == augment


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"scale": [1.4, 0.6]}, "must not fall"),
        ({"scale": [0.0, 1.0]}, "greater than 0"),
        ({"flip": 1.5}, "less than or equal to 1"),
        ({"detail": float("inf")}, "finite"),
        ({"mosaic_probability": 1.0}, "unknown key"),
        ({"mosaic_tiles": 5}, "4 or 9"),
        ({"rotate": 200}, "less than or equal to 180"),
        ({"sizes": {"smallest": 352, "largest": 320}}, "is above"),
        ({"sizes": {"smallest": 300, "largest": 320}}, "multiples of 32"),
    ],
)
def test_refuses_what_makes_no_sense(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        config.parse(AugmentConfig, wrong)


def test_the_same_state_draws_the_same() -> None:
    augment = AugmentConfig(mosaic=0.5, hue=0.1, stretch=(0.8, 1.2))
    first, again, other = _draw(augment), _draw(augment), _draw(augment, seed=1)
    for field in dataclasses.fields(first):
        assert (getattr(first, field.name) == getattr(again, field.name)).all()
        assert not (getattr(first, field.name) == getattr(other, field.name)).all()


def test_draws_stay_in_their_ranges_and_fill_them() -> None:
    augment = AugmentConfig(mosaic=0.25, hue=0.1, stretch=(0.9, 1.1), colour_probability=0.5)
    draws = functools.reduce(joined, [_draw(augment, 500, seed) for seed in range(8)])
    ranges = {
        "brightness": (-0.2, 0.2),
        "contrast": augment.contrast,
        "saturation": augment.saturation,
        "hue": (-0.1, 0.1),
        "shift_xy": (-0.2, 0.2),
        "centre_xy": (-0.5, 0.5),
        "scale_xy": (0.6 * 0.9, 1.4 * 1.1),
    }
    for name, (low, high) in ranges.items():
        values = getattr(draws, name)
        room = 0.05 * (high - low)
        assert low <= values.min() < low + room, name
        assert high - room < values.max() <= high, name
    assert draws.mosaic.mean() == pytest.approx(0.25, abs=0.03)
    assert draws.flip.mean() == pytest.approx(0.5, abs=0.03)
    for name, neutral in {"brightness": 0, "contrast": 1, "saturation": 1, "hue": 0}.items():
        assert (getattr(draws, name) == neutral).mean() == pytest.approx(0.5, abs=0.03)


def test_without_stretch_both_sides_are_enlarged_alike() -> None:
    draws = _draw(AugmentConfig())
    assert (draws.scale_xy[:, 0] == draws.scale_xy[:, 1]).all()


@pytest.mark.parametrize("count", [4, 5, 16])
def test_partners_are_three_others_and_each_as_likely(count: int) -> None:
    seen = np.zeros((count, count))
    for seed in range(300):
        for sample, partners in enumerate(_draw(AugmentConfig(mosaic=1), count, seed).partners.tolist()):
            assert len({sample, *partners[:3]}) == 4
            seen[sample, partners[:3]] += 1
    assert seen[~np.eye(count, dtype=bool)].min() > 0.6 * 300 * 3 / (count - 1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_pictures_partner_as_often_as_needed(count: int) -> None:
    partners = _draw(AugmentConfig(mosaic=1), count).partners
    assert partners.shape == (count, 8)
    assert set(partners.ravel().tolist()) <= set(range(count))


def test_leaving_mosaic_out_changes_nothing_else() -> None:
    augment = AugmentConfig(mosaic=1.0)
    with_mosaic, without = _draw(augment), _draw(augment, mosaic=False)
    assert with_mosaic.mosaic.all()
    assert not without.mosaic.any()
    assert (with_mosaic.scale_xy == without.scale_xy).all()


def test_none_varies_nothing() -> None:
    draws = _draw(AugmentConfig.none())
    assert not (draws.mosaic | draws.flip).any()
    assert (draws.scale_xy == 1).all()
    assert (draws.contrast == 1).all()
    assert (draws.saturation == 1).all()
    assert not (np.abs(draws.shift_xy).sum() + np.abs(draws.brightness).sum() + np.abs(draws.hue).sum())


def test_turns_keep_their_bounds_and_are_nothing_without_them() -> None:
    still = draw_turns(AugmentConfig(), np.random.default_rng(0), 50)
    assert (still == np.eye(2, 3)).all()
    turns = draw_turns(AugmentConfig(rotate=20.0), np.random.default_rng(0), 2000)
    angles = np.rad2deg(np.arctan2(turns[:, 1, 0], turns[:, 0, 0]))
    assert -20 <= angles.min() < -19
    assert 19 < angles.max() <= 20
    assert np.linalg.det(turns[:, :, :2]) == pytest.approx(np.ones(2000))
    slants = draw_turns(AugmentConfig(shear=45.0), np.random.default_rng(0), 2000)
    assert (slants[:, [0, 1], [0, 1]] == 1).all()
    assert 0.98 < np.abs(slants[:, 0, 1]).max() <= 1


def test_sizes_of_batches_keep_the_shape_and_the_step() -> None:
    assert BatchSizes().sizes_hw((608, 608)).tolist() == [[side, side] for side in range(320, 609, 32)]
    assert BatchSizes(smallest=64, largest=128).sizes_hw((64, 128)).tolist() == [[32, 64], [64, 96], [64, 128]]


def test_draws_are_joined_in_order() -> None:
    first, second = _draw(AugmentConfig(), 3, 1), _draw(AugmentConfig(), 2, 2)
    both = joined(first, second)
    assert (both.scale_xy == np.concatenate([first.scale_xy, second.scale_xy])).all()
    assert len(both.mosaic) == len(both.hue) == 5
