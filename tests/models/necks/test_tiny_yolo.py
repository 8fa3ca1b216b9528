from __future__ import annotations

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.tiny_yolo import TinyYoloNeckConfig


@pytest.mark.parametrize("levels", [2, 3])
def test_levels_halve_their_channels(levels: int) -> None:
    spec = FeatureSpec((3, 5, 6)[-levels:], (8, 16, 32)[-levels:])
    neck = TinyYoloNeckConfig(width=16).build(spec).eval()
    assert neck.features == FeatureSpec((4, 8, 16)[-levels:], spec.strides)
    maps = [torch.randn(2, width, 96 // stride, 160 // stride) for width, stride in zip(*_pairs(spec), strict=True)]
    assert [tuple(x.shape) for x in neck(maps)] == [
        (2, width, 96 // stride, 160 // stride) for width, stride in zip(*_pairs(neck.features), strict=True)
    ]


def _pairs(spec: FeatureSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return spec.channels, spec.strides


def test_the_coarsest_map_goes_on_before_its_3x3_and_the_others_after() -> None:
    neck = TinyYoloNeckConfig(width=16).build(FeatureSpec((3, 5, 6), (8, 16, 32)))
    maps = [torch.randn(1, width, side, side) for width, side in ((3, 8), (5, 4), (6, 2))]
    neck(maps)[0].sum().backward()
    silent = {name.split(".conv")[0].split(".norm")[0] for name, value in neck.named_parameters() if value.grad is None}
    assert silent == {"outputs.2"}


@pytest.mark.parametrize("strides", [(16,), (8, 32), (32, 16)])
def test_levels_that_it_cannot_take_are_refused(strides: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"neck\.kind = 'tiny_yolo': gets levels of stride"):
        TinyYoloNeckConfig().build(FeatureSpec((8,) * len(strides), strides))


def test_a_width_that_halves_to_nothing_is_refused() -> None:
    features = FeatureSpec((4, 4, 4), (8, 16, 32))
    neck = TinyYoloNeckConfig(width=8).build(features)
    assert neck.features.channels == (2, 4, 8)
    with pytest.raises(ModelError, match=r"neck\.width = 7: is halved 3 times"):
        TinyYoloNeckConfig(width=7).build(features)
