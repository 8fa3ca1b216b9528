from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.necks.yolov3_fpn import Yolov3Fpn, Yolov3FpnConfig

FEATURES = FeatureSpec((6, 10, 14), (8, 16, 32))
CONFIG = Yolov3FpnConfig(channels=(4, 6, 8))


def _neck() -> Yolov3Fpn:
    torch.manual_seed(0)
    return CONFIG.build(FEATURES).eval()


def _maps() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(2, width, 96 // stride, 160 // stride, generator=generator)
        for width, stride in zip(FEATURES.channels, FEATURES.strides, strict=True)
    ]


def test_layers_are_the_published_ones_one_after_another() -> None:
    neck, maps = _neck(), _maps()
    steps = iter([module for module in neck.blocks.modules() if isinstance(module, ConvNormAct)])
    kernels = []

    def layer(x: Tensor, step: ConvNormAct) -> Tensor:
        kernel = step.conv.weight.shape[-1]
        kernels.append((kernel, *step.conv.weight.shape[1::-1]))
        x = F.conv2d(x, step.conv.weight, padding=kernel // 2)
        norm = step.norm
        return F.leaky_relu(F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias), 0.1)

    expected: list[Tensor] = []
    route = torch.zeros(0)
    for level in (2, 1, 0):
        x = maps[level]
        if level < 2:
            step = neck.transitions[1 - level]
            assert isinstance(step, ConvNormAct)
            doubled = layer(route, step).repeat_interleave(2, 2).repeat_interleave(2, 3)
            x = torch.cat((doubled, x), 1)
        for _ in range(5):
            x = layer(x, next(steps))
        route = x
        expected.insert(0, layer(route, next(steps)))
    assert next(steps, None) is None
    for found, wanted in zip(neck(maps), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    coarse = [(1, 14, 8), (3, 8, 16), (1, 16, 8), (3, 8, 16), (1, 16, 8), (3, 8, 16)]
    middle = [(1, 8, 4), (1, 14, 6), (3, 6, 12), (1, 12, 6), (3, 6, 12), (1, 12, 6), (3, 6, 12)]
    fine = [(1, 6, 3), (1, 9, 4), (3, 4, 8), (1, 8, 4), (3, 4, 8), (1, 8, 4), (3, 4, 8)]
    assert kernels == [*coarse, *middle, *fine]


def test_outputs_have_twice_the_width_and_the_same_strides() -> None:
    neck = _neck()
    assert neck.features == FeatureSpec((8, 12, 16), (8, 16, 32))
    assert [tuple(x.shape) for x in neck(_maps())] == [(2, 8, 12, 20), (2, 12, 6, 10), (2, 16, 3, 5)]


def test_the_backbones_maps_are_left_alone() -> None:
    maps = _maps()
    before = [x.clone() for x in maps]
    _neck()(maps)
    assert all(torch.equal(x, old) for x, old in zip(maps, before, strict=True))


def test_widths_for_another_number_of_levels_are_refused() -> None:
    with pytest.raises(ModelError, match=r"neck\.channels = \(4, 6, 8\): 3 widths for 2 levels"):
        CONFIG.build(FeatureSpec((6, 10), (8, 16)))


def test_levels_whose_strides_do_not_double_are_refused() -> None:
    with pytest.raises(ModelError, match=r"neck\.kind = 'yolov3_fpn': .*stride 4, 16, 32"):
        CONFIG.build(FeatureSpec((6, 10, 14), (4, 16, 32)))
