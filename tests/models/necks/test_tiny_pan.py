from __future__ import annotations

import torch
from torch.nn import functional as F

from sanderling.models.features import FeatureSpec
from sanderling.models.necks.tiny_pan import TinyPanConfig

FEATURES = FeatureSpec((6, 10, 14), (8, 16, 32))


def test_paths_add_resized_maps_and_the_way_up_starts_from_the_fused_ones() -> None:
    neck = TinyPanConfig(channels=5).build(FEATURES)
    maps = [torch.randn(2, 6, 8, 12), torch.randn(2, 10, 4, 6), torch.randn(2, 14, 2, 3)]
    fine, middle, coarse = (
        F.conv2d(x, conv.weight, conv.bias)  # type: ignore[arg-type]
        for x, conv in zip(maps, neck.lateral_convs, strict=True)
    )
    middle = middle + F.interpolate(coarse, scale_factor=2, mode="bilinear")
    fine = fine + F.interpolate(middle, scale_factor=2, mode="bilinear")
    middle = middle + F.interpolate(fine, scale_factor=0.5, mode="bilinear")
    coarse = coarse + F.interpolate(middle, scale_factor=0.5, mode="bilinear")
    for found, expected in zip(neck(maps), (fine, middle, coarse), strict=True):
        torch.testing.assert_close(found, expected)


def test_the_backbones_maps_are_left_alone() -> None:
    neck = TinyPanConfig(channels=6).build(FeatureSpec((6, 6, 6), (8, 16, 32)))
    maps = [torch.randn(1, 6, 12, 20), torch.randn(1, 6, 6, 10), torch.randn(1, 6, 3, 5)]
    before = [x.clone() for x in maps]
    neck(maps)
    assert all(torch.equal(x, old) for x, old in zip(maps, before, strict=True))


def test_outputs_have_one_width_and_the_same_strides() -> None:
    neck = TinyPanConfig(channels=5).build(FEATURES)
    assert neck.features == FeatureSpec((5, 5, 5), (8, 16, 32))


def test_biases_start_at_zero() -> None:
    biases = [p for name, p in TinyPanConfig(channels=5).build(FEATURES).named_parameters() if name.endswith("bias")]
    assert len(biases) == 3
    assert all((bias == 0).all() for bias in biases)
