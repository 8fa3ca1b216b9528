from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.ghost_pan import GhostPanConfig

FEATURES = FeatureSpec((6, 10, 14), (8, 16, 32))


def _maps() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 6, 12, 20), (2, 10, 6, 10), (2, 14, 3, 5))
    return [torch.randn(shape, generator=generator) for shape in shapes]


def test_paths_fuse_pairs_of_maps_from_coarse_to_fine_and_back() -> None:
    neck = GhostPanConfig(channels=8).build(FEATURES).eval()
    fine, middle, coarse = (layer(x) for layer, x in zip(neck.reduce_layers, _maps(), strict=True))

    def doubled(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear")

    to_middle, to_fine = neck.top_down_blocks
    down_middle = to_middle(torch.cat((doubled(coarse), middle), 1))
    first = to_fine(torch.cat((doubled(down_middle), fine), 1))
    second = neck.bottom_up_blocks[0](torch.cat((neck.downsamples[0](first), down_middle), 1))
    third = neck.bottom_up_blocks[1](torch.cat((neck.downsamples[1](second), coarse), 1))
    fourth = neck.extra_lvl_in_conv[0](coarse) + neck.extra_lvl_out_conv[0](third)
    for found, expected in zip(neck(_maps()), (first, second, third, fourth), strict=True):
        torch.testing.assert_close(found, expected)


def test_the_extra_level_rounds_up() -> None:
    neck = GhostPanConfig(channels=8).build(FEATURES).eval()
    assert neck.features == FeatureSpec((8,) * 4, (8, 16, 32, 64))
    assert [tuple(x.shape[1:]) for x in neck(_maps())] == [(8, 12, 20), (8, 6, 10), (8, 3, 5), (8, 2, 3)]


def test_without_the_extra_level_there_are_as_many_as_the_backbone_has() -> None:
    neck = GhostPanConfig(channels=8, extra_level=False).build(FEATURES).eval()
    assert neck.features == FeatureSpec((8,) * 3, FEATURES.strides)
    assert len(neck(_maps())) == 3


def test_two_levels_are_enough() -> None:
    neck = GhostPanConfig(channels=8).build(FeatureSpec((10, 14), (16, 32))).eval()
    assert [tuple(x.shape[2:]) for x in neck(_maps()[1:])] == [(6, 10), (3, 5), (2, 3)]


def test_levels_whose_strides_do_not_double_are_refused() -> None:
    with pytest.raises(ModelError, match="'ghost_pan': gets levels of stride 8, 32"):
        GhostPanConfig(channels=8).build(FeatureSpec((6, 14), (8, 32)))
