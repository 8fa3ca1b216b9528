from __future__ import annotations

from typing import Literal

import pytest

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.levels import expect_doubling, expect_halving, expect_one_each


@pytest.mark.parametrize("strides", [(8, 16), (4, 8, 16, 32), (16, 32, 64)])
def test_strides_that_double_are_taken(strides: tuple[int, ...]) -> None:
    expect_doubling(FeatureSpec((4,) * len(strides), strides), kind="fpn")


@pytest.mark.parametrize("strides", [(), (8,), (8, 32), (16, 8), (8, 8)])
def test_others_are_refused(strides: tuple[int, ...]) -> None:
    listed = ", ".join(map(str, strides))
    with pytest.raises(ModelError, match=rf"neck\.kind = 'fpn': gets levels of stride {listed}; .*twice the stride"):
        expect_doubling(FeatureSpec((4,) * len(strides), strides), kind="fpn")


@pytest.mark.parametrize(
    ("strides", "own", "levels", "words", "example"),
    [((8, 16, 32), 3, 2, "two", "16, 32"), ((16, 32), 2, 3, "three", "8, 16, 32")],
)
def test_another_number_of_levels_is_refused(
    strides: tuple[int, ...], own: Literal[2, 3], levels: Literal[2, 3], words: str, example: str
) -> None:
    features = FeatureSpec((4,) * len(strides), strides)
    expect_doubling(features, kind="fpn", levels=own)
    with pytest.raises(ModelError, match=rf"it takes {words}, each of twice .*, for example strides {example}$"):
        expect_doubling(features, kind="fpn", levels=levels)


def test_a_setting_has_one_width_for_each_level() -> None:
    features = FeatureSpec((4, 4), (16, 32))
    expect_one_each(features, (8, 12), key="neck.channels")
    words = r"neck\.channels = \(8, 12, 16\): 3 widths for 2 levels \(strides 16, 32\); give one for each"
    with pytest.raises(ModelError, match=words):
        expect_one_each(features, (8, 12, 16), key="neck.channels")


def test_something_is_left_of_a_width_that_is_halved() -> None:
    expect_halving(8, times=3, key="neck.width")
    with pytest.raises(ModelError, match=r"neck\.width = 7: is halved 3 times .* use at least 8, or fewer levels"):
        expect_halving(7, times=3, key="neck.width")
