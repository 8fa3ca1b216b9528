from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.data.augment import AugmentConfig
from sanderling.data.planning import WindowPlan, WindowSettings, plan_window
from sanderling.data.source import decode_source
from sanderling.data.transforms.auto_augment import AutoAugmentConfig
from sanderling.data.transforms.blend import CutMixConfig, MixupConfig
from sanderling.data.transforms.cutout import CutoutConfig
from sanderling.data.transforms.expand import ExpandConfig
from sanderling.datasets.dataset import Dataset
from sanderling.structures.artefact import PictureRule
from tests.support.painted_sets import painted_set
from tests.support.windows import epoch_windows

RULE = PictureRule(size_hw=(96, 160), pad_value=114)
SIZES = [(61, 83), (120, 47), (97, 161), (48, 80)] * 3


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return painted_set(tmp_path, SIZES)


def _plan(dataset: Dataset, augment: AugmentConfig, **choices: Any) -> WindowPlan:
    task = epoch_windows(dataset, RULE.size_hw, **choices).task(0)
    settings = WindowSettings(picture=RULE, augment=augment, seed=5)
    sources = [
        decode_source(Path(path), (height, width), RULE, augment)
        for path, (height, width) in zip(task.paths, task.sizes_hw.tolist(), strict=True)
    ]
    return plan_window(task, settings, sources, range(len(sources)))


def test_what_is_added_changes_nothing_of_what_was_drawn(dataset: Dataset) -> None:
    plain = _plan(dataset, AugmentConfig(mosaic=0.5))
    more = _plan(dataset, AugmentConfig(mosaic=0.5, cutout=CutoutConfig(), auto_augment=AutoAugmentConfig()))
    assert more.mirrored == plain.mirrored
    assert [len(pastes) for pastes in more.pastes] == [len(pastes) for pastes in plain.pastes]
    for one, other in zip(plain.effects, more.effects, strict=True):
        assert (one.colour is None) == (other.colour is None)


def test_a_mixed_sample_is_no_mosaic_and_carries_the_boxes_of_both(dataset: Dataset) -> None:
    plan = _plan(dataset, AugmentConfig(mosaic=1.0, mixup=MixupConfig(), min_visible=0.0, min_side=0.0))
    assert len(plan.pastes) == 24
    assert all(len(pastes) <= 1 for pastes in plan.pastes)
    assert (np.diff(plan.labels.first_box) >= 1).all()
    for sample, mixture in plan.mixtures.items():
        weights = plan.labels.weights[plan.labels.first_box[sample] : plan.labels.first_box[sample + 1]]
        assert (np.isclose(weights, mixture.share) | np.isclose(weights, 1 - mixture.share)).all()
    assert np.isnan(plan.labels.placements).all()


def test_mixing_ends_with_the_run(dataset: Dataset) -> None:
    augment = AugmentConfig(mosaic=1.0, cutmix=CutMixConfig(until=0.5))
    assert len(_plan(dataset, augment, progress=0.4).mixtures) == 12
    assert not _plan(dataset, augment, progress=0.5).mixtures


def test_a_placement_says_where_the_corners_of_a_picture_alone_are(dataset: Dataset) -> None:
    plan = _plan(dataset, AugmentConfig(mosaic=0.5, min_visible=0.0, min_side=0.0, rotate=10.0, flip=0.5))
    alone = [sample for sample, pastes in enumerate(plan.pastes) if len(pastes) == 1]
    assert 0 < len(alone) < 12
    assert np.isfinite(plan.labels.placements[alone]).all()
    several = [sample for sample, pastes in enumerate(plan.pastes) if len(pastes) > 1]
    assert np.isnan(plan.labels.placements[several]).all()
    still = _plan(dataset, AugmentConfig.none())
    left_upper, right_lower = still.labels.placements[:, :, 2], still.labels.placements.sum(axis=2)
    for (height, width), begin, end in zip(SIZES, left_upper, right_lower, strict=True):
        scale = min(96 / height, 160 / width)
        assert end - begin == pytest.approx((width * scale, height * scale), abs=1)


def test_what_the_pictures_leave_open_has_its_colour(dataset: Dataset) -> None:
    plain = _plan(dataset, AugmentConfig.none())
    assert {border for border in plain.borders if border is not None} == {114}
    assert plain.borders[0] is not None
    expanded = _plan(dataset, AugmentConfig(expand=ExpandConfig(probability=1.0, ratio=(2.0, 2.0)), scale=(1.0, 1.0)))
    assert set(expanded.borders) == {"mean"}
    moved = _plan(dataset, AugmentConfig(auto_augment=AutoAugmentConfig(policy="v0")))
    assert 128 in set(moved.borders)


def test_marks_go_to_samples_of_one_picture_only(dataset: Dataset) -> None:
    task = epoch_windows(dataset, RULE.size_hw, marks=np.ones((12, 4, 4), np.bool_)).task(0)
    augment = AugmentConfig(mosaic=0.5)
    sources = [decode_source(Path(path), (0, 0), RULE, augment) for path in task.paths]
    plan = plan_window(task, WindowSettings(picture=RULE, augment=augment, seed=5), sources, range(12))
    for pastes, effects in zip(plan.pastes, plan.effects, strict=True):
        assert (effects.marked is None) == (len(pastes) > 1)


def test_a_mosaic_is_not_expanded_and_has_no_plane_around_it(dataset: Dataset) -> None:
    augment = AugmentConfig(mosaic=1.0, scale=(0.5, 0.6), expand=ExpandConfig(probability=1.0))
    assert set(_plan(dataset, augment).borders) <= {None, 114}
