from __future__ import annotations

import pytest

from sanderling.models.features import FeatureSpec


def test_channels_and_strides_belong_together() -> None:
    assert FeatureSpec((8, 16), (8, 16)).strides == (8, 16)
    with pytest.raises(ValueError, match="1 channels for 2 strides"):
        FeatureSpec((8,), (8, 16))
