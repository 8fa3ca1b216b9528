from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sanderling.data.augment import AugmentConfig
from sanderling.data.effects import Effects
from sanderling.data.transforms.auto_augment import DrawnPolicy, Operation
from sanderling.data.transforms.cutout import ActivationCutoutConfig, CutoutConfig
from sanderling.data.transforms.erase import RandomErasingConfig
from sanderling.data.transforms.grid_mask import GridMaskConfig
from sanderling.pictures import Picture

NO_BOXES = np.zeros((0, 4), np.float32)


def _effects(**changed: Any) -> Effects:
    given: dict[str, Any] = {"colour": None, "policy": None, "marked": None, "placement": np.eye(2, 3), "seed": (1, 2)}
    return Effects(**(given | changed))


def _image() -> Picture:
    return np.random.default_rng(0).integers(1, 256, (40, 60, 3), np.uint8)


def _changed(effects: Effects, augment: AugmentConfig, progress: float = 0.0) -> Picture:
    image = _image()
    effects.apply(image, NO_BOXES, augment, progress=progress)
    return image


def test_nothing_configured_changes_nothing() -> None:
    assert (_changed(_effects(), AugmentConfig()) == _image()).all()


def test_colour_is_applied() -> None:
    half = np.array([[0.5, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 0.5, 0]], np.float32)
    assert np.abs(_changed(_effects(colour=half), AugmentConfig()).astype(int) - _image() // 2).max() <= 1


@pytest.mark.parametrize(
    "augment",
    [
        AugmentConfig(erase=RandomErasingConfig(probability=1.0, fill=0)),
        AugmentConfig(cutout=CutoutConfig()),
        AugmentConfig(grid_mask=GridMaskConfig(probability=1.0, grow_until=0.0)),
    ],
    ids=["erase", "cutout", "grid"],
)
def test_pixels_are_taken_out_by_lot_and_the_others_stay(augment: AugmentConfig) -> None:
    changed = _changed(_effects(), augment)
    gone = (changed == 0).all(axis=2)
    assert gone.any()
    assert (changed[~gone] == _image()[~gone]).all()
    assert (changed == _changed(_effects(), augment)).all()
    assert any((changed != _changed(_effects(seed=(seed,)), augment)).any() for seed in range(5))


def test_a_grid_comes_more_often_as_training_goes_on() -> None:
    augment = AugmentConfig(grid_mask=GridMaskConfig(probability=1.0, grow_until=0.5))
    assert (_changed(_effects(), augment, progress=0.0) == _image()).all()
    assert (_changed(_effects(), augment, progress=0.5) != _image()).any()


def test_a_policy_changes_the_finished_sample() -> None:
    policy = DrawnPolicy(moves=(), changes=(Operation("Posterize", 1.0),), reference_side=640.0)
    assert set(np.unique(_changed(_effects(policy=policy), AugmentConfig())).tolist()) <= {0, 128, 255} | set(
        range(256)
    )


def test_marked_cells_follow_the_picture_to_its_place() -> None:
    marked = np.zeros((4, 4), np.bool_)
    marked[0, 3] = True
    augment = AugmentConfig(activation_cutout=ActivationCutoutConfig())
    # The picture stands mirrored in the sample's left half: its right upper cell is the sample's left upper one.
    placement = np.array([[-30.0, 0, 30], [0, 40.0, 0]])
    changed = _changed(_effects(marked=marked, placement=placement), augment)
    gone = (changed == 0).all(axis=2)
    rows, columns = np.nonzero(gone)
    assert (rows.min(), rows.max()) == (0, 9)
    assert (columns.min(), columns.max()) in {(0, 6), (0, 7)}
