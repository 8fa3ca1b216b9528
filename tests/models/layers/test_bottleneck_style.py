from __future__ import annotations

import pytest
from torch import nn

from sanderling.errors import ModelError
from sanderling.models.layers.bottleneck_style import BottleneckStyle
from sanderling.models.layers.same_padding import SameConv2d

STYLE = BottleneckStyle(act="relu6", squeeze_ratio=0.25, momentum=0.2)


def test_convolutions_are_padded_and_normalised_as_mobiledet_is() -> None:
    conv = STYLE.conv(6, 12, 5, stride=2)
    assert isinstance(conv.conv, SameConv2d)
    assert (conv.norm.eps, conv.norm.momentum) == (0.01, 0.2)
    assert isinstance(conv.act, nn.ReLU6)
    assert isinstance(STYLE.linear(6, 12).act, nn.Identity)


@pytest.mark.parametrize(("expanded", "inner"), [(64, 16), (40, 8), (48, 16), (16, 8)])
def test_squeeze_is_a_quarter_rounded_half_up_to_eight(expanded: int, inner: int) -> None:
    squeeze = STYLE.squeeze_excite(expanded)
    assert squeeze is not None
    assert squeeze.reduce.out_channels == inner


def test_without_a_ratio_there_is_none() -> None:
    assert BottleneckStyle(act="relu6").squeeze_excite(64) is None


def test_ends_are_added_only_on_request_and_only_if_they_agree() -> None:
    assert STYLE.residual(True, channels=(8, 8), stride=1)
    assert not STYLE.residual(False, channels=(8, 8), stride=1)
    assert not STYLE.residual(False, channels=(8, 16), stride=2)
    with pytest.raises(ModelError, match="8 channels in, 16 out and stride 1; both ends must have the same shape"):
        STYLE.residual(True, channels=(8, 16), stride=1)
    with pytest.raises(ModelError, match="stride 2"):
        STYLE.residual(True, channels=(8, 8), stride=2)
