from __future__ import annotations

import pytest

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.levels import expect_doubling


@pytest.mark.parametrize("strides", [(8, 16), (4, 8, 16, 32), (16, 32, 64)])
def test_strides_that_double_are_taken(strides: tuple[int, ...]) -> None:
    expect_doubling(FeatureSpec((4,) * len(strides), strides), kind="fpn")


@pytest.mark.parametrize("strides", [(), (8,), (8, 32), (16, 8), (8, 8)])
def test_others_are_refused(strides: tuple[int, ...]) -> None:
    listed = ", ".join(map(str, strides))
    with pytest.raises(ModelError, match=rf"neck\.kind = 'fpn': gets levels of stride {listed}; .*twice the stride"):
        expect_doubling(FeatureSpec((4,) * len(strides), strides), kind="fpn")
