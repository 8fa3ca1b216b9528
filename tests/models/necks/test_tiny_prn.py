from __future__ import annotations

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.tiny_prn import TinyPrnConfig

SPEC = FeatureSpec((6, 10), (16, 32))


def test_two_maps_in_two_maps_out() -> None:
    neck = TinyPrnConfig(width=8).build(SPEC).eval()
    assert neck.features == FeatureSpec((4, 8), (16, 32))
    found = neck([torch.randn(2, 6, 6, 10), torch.randn(2, 10, 3, 5)])
    assert [tuple(x.shape) for x in found] == [(2, 4, 6, 10), (2, 8, 3, 5)]


def test_only_the_first_channels_of_the_fine_map_are_added() -> None:
    neck = TinyPrnConfig(width=8).build(SPEC).eval()
    fine, coarse = torch.randn(1, 6, 4, 4, requires_grad=True), torch.randn(1, 10, 2, 2)
    neck([fine, coarse])[0].sum().backward()
    assert fine.grad is not None
    assert fine.grad[:, :4].abs().min() > 0
    assert not fine.grad[:, 4:].any()


def test_levels_that_it_cannot_take_are_refused() -> None:
    for strides in [(8, 16, 32), (8, 32), (32,)]:
        with pytest.raises(ModelError, match=r"neck\.kind = 'tiny_prn': gets levels of stride .*; it takes two"):
            TinyPrnConfig().build(FeatureSpec((256,) * len(strides), strides))
    with pytest.raises(ModelError, match=r"neck\.width = 14: .* the fine map, which has 6 channels; use at most 12"):
        TinyPrnConfig(width=14).build(SPEC)
