from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.ssd_extras import SsdExtrasConfig

FEATURES = FeatureSpec((12, 20), (16, 32))


def test_extra_levels_halve_and_round_up() -> None:
    neck = SsdExtrasConfig().build(FEATURES).eval()
    assert neck.features == FeatureSpec((12, 20, 512, 256, 256, 128), (16, 32, 64, 128, 256, 512))
    maps = neck([torch.randn(1, 12, 20, 26), torch.randn(1, 20, 10, 13)])
    assert [tuple(x.shape[1:]) for x in maps] == [
        (12, 20, 26),
        (20, 10, 13),
        (512, 5, 7),
        (256, 3, 4),
        (256, 2, 2),
        (128, 1, 1),
    ]


def test_the_backbones_maps_go_through_and_each_level_is_made_from_the_one_before() -> None:
    neck = SsdExtrasConfig(channels=(8, 4)).build(FEATURES).eval()
    given = [torch.randn(2, 12, 6, 10), torch.randn(2, 20, 3, 5)]
    maps = neck(given)
    assert maps[0] is given[0]
    assert maps[1] is given[1]
    torch.testing.assert_close(maps[2], neck.extras[0](given[1]))
    torch.testing.assert_close(maps[3], neck.extras[1](maps[2]))


def test_one_picture_cannot_teach_a_level_of_one_cell() -> None:
    neck = SsdExtrasConfig(channels=(8, 8)).build(FEATURES).train()
    fine, coarse = torch.randn(2, 12, 6, 8), torch.randn(2, 20, 3, 4)
    with pytest.raises(ModelError, match="the coarsest of 2 extra levels is 1x1; train with batch 2 or more"):
        neck([fine[:1], coarse[:1]])
    assert neck([fine, coarse])[-1].shape == (2, 8, 1, 1)
    assert neck([fine[:1], torch.randn(1, 20, 3, 5)])[-1].shape == (1, 8, 1, 2)
    assert neck.eval()([fine[:1], coarse[:1]])[-1].shape == (1, 8, 1, 1)


def test_convolutions_of_a_level() -> None:
    neck = SsdExtrasConfig(channels=(8,)).build(FEATURES)
    convs = [module for module in neck.modules() if isinstance(module, nn.Conv2d)]
    assert [tuple(conv.weight.shape) for conv in convs] == [(4, 20, 1, 1), (4, 1, 3, 3), (8, 4, 1, 1)]
    assert [conv.stride for conv in convs] == [(1, 1), (2, 2), (1, 1)]
    norms = [module for module in neck.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.001, 0.03)}
    assert sum(isinstance(module, nn.ReLU6) for module in neck.modules()) == 3
