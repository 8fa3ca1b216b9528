from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sanderling.data.augment import AugmentConfig
from sanderling.data.source import decode_source, decoded_size, stand_ins
from sanderling.data.transforms.crop import CropConfig
from sanderling.errors import DataError
from sanderling.structures.artefact import PictureRule
from tests.support.small_sets import pixels

RULE = PictureRule(size_hw=(96, 160))


@pytest.fixture
def jpeg(tmp_path: Path) -> Path:
    path = tmp_path / "large.jpg"
    cv2.imwrite(str(path), pixels(0, (401, 655)))
    return path


@pytest.mark.parametrize("stated_hw", [(401, 655), (0, 0), (655, 401)])
def test_the_original_size_is_known_whatever_the_label_file_says(jpeg: Path, stated_hw: tuple[int, int]) -> None:
    source = decode_source(jpeg, stated_hw, RULE, AugmentConfig())
    assert source.original_hw == (401, 655)
    height, width = source.picture.shape[:2]
    reduction_x, reduction_y = source.reduction_xy
    assert abs(width * reduction_x - 655) < reduction_x
    assert abs(height * reduction_y - 401) < reduction_y
    assert 96 <= height < 401


def test_a_smaller_picture_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    cv2.imwrite(str(path), pixels(0, (50, 61)))
    source = decode_source(path, (50, 61), RULE, AugmentConfig())
    assert source.picture.shape == (50, 61, 3)
    assert source.reduction_xy == (1, 1)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.jpg"):
        decode_source(path, (10, 10), RULE, AugmentConfig())


def test_the_next_readable_one_stands_in(jpeg: Path) -> None:
    source = decode_source(jpeg, (401, 655), RULE, AugmentConfig())
    assert stand_ins([source, None, None, source, None]) == [0, 3, 3, 3, 0]
    assert np.array(stand_ins([source, source])).tolist() == [0, 1]


def test_a_picture_that_is_cropped_may_be_decoded_finer(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    cv2.imwrite(str(path), pixels(0, (960, 1600)))
    kept = [
        decode_source(path, (960, 1600), RULE, AugmentConfig(scale=(1.0, 1.0), crop=crop, detail=1 / 0.3))
        for crop in (None, CropConfig())
    ]
    assert [source.picture.shape[:2] for source in kept] == [(120, 200), (480, 800)]
    assert [decoded_size((960, 1600), ".jpg", RULE, AugmentConfig(scale=(1.0, 1.0)))] == [(120, 200)]
