from __future__ import annotations

import pytest

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec, expect_strides


def test_channels_and_strides_belong_together() -> None:
    assert FeatureSpec((8, 16), (8, 16)).strides == (8, 16)
    with pytest.raises(ValueError, match="1 channels for 2 strides"):
        FeatureSpec((8,), (8, 16))


@pytest.mark.parametrize("asked", [(8,), (4, 16), (4, 8, 16)])
def test_maps_that_there_are_may_be_asked_for(asked: tuple[int, ...]) -> None:
    expect_strides(asked, (4, 8, 16))


@pytest.mark.parametrize("asked", [(), (16, 8), (8, 8), (8, 32)])
def test_others_are_refused(asked: tuple[int, ...]) -> None:
    words = r"backbone\.strides = \(.*\): this backbone has maps of strides 4, 8, 16; name some of them, finest first$"
    with pytest.raises(ModelError, match=words):
        expect_strides(asked, (4, 8, 16))
