from __future__ import annotations

import numpy as np
import pytest

from sanderling.data.transforms.crop import CropConfig
from sanderling.data.transforms.expand import ExpandConfig
from sanderling.data.transforms.frame import Frames, draw_frames

SIZES_XY = np.tile([90.0, 61.0], (300, 1))
BOXES = [np.array([[10.0, 5, 40, 30], [60, 40, 88, 60]])] * 300


def _frames(expand: ExpandConfig | None, crop: CropConfig | None) -> Frames:
    return draw_frames(expand, crop, np.random.default_rng(0), SIZES_XY, BOXES)


def test_without_either_the_whole_picture_is_the_frame() -> None:
    frames = _frames(None, None)
    assert (frames.xyxy == [0, 0, 90, 61]).all()
    assert not frames.expanded.any()
    assert not frames.cropped.any()


def test_an_expanded_frame_holds_the_picture() -> None:
    frames = _frames(ExpandConfig(), None)
    assert 0.35 < frames.expanded.mean() < 0.65
    assert not frames.cropped.any()
    assert (frames.xyxy[:, :2] <= 0).all()
    assert (frames.xyxy[:, 2:] >= (90, 61)).all()
    ratios = (frames.xyxy[:, 2:] - frames.xyxy[:, :2]) / (90, 61)
    assert 3.8 < ratios.max() <= 4


def test_a_cropped_frame_lies_in_the_picture() -> None:
    frames = _frames(None, CropConfig())
    assert frames.cropped.mean() > 0.5
    assert not frames.expanded.any()
    assert (frames.xyxy[:, :2] >= 0).all()
    assert (frames.xyxy[:, 2:] <= (90, 61)).all()
    sides = frames.xyxy[:, 2:] - frames.xyxy[:, :2]
    assert sides.min() >= 0.2 * 61


def test_a_crop_is_cut_out_of_the_expanded_plane() -> None:
    frames = _frames(ExpandConfig(probability=1.0), CropConfig(whole=False, thresholds=(0.0,)))
    both = frames.expanded & frames.cropped
    assert both.mean() > 0.1
    sides = frames.xyxy[:, 2:] - frames.xyxy[:, :2]
    assert (sides > 0).all()
    middles = np.array([[25.0, 17.5], [74, 50]])
    inside = (middles[None] >= frames.xyxy[:, None, :2]) & (middles[None] < frames.xyxy[:, None, 2:])
    assert (inside.all(axis=2).sum(axis=1) > 0).all()


@pytest.mark.parametrize("count", [0, 1])
def test_few_pictures(count: int) -> None:
    frames = draw_frames(
        ExpandConfig(), CropConfig(), np.random.default_rng(0), SIZES_XY[:count], [np.zeros((0, 4))] * count
    )
    assert frames.xyxy.shape == (count, 4)
