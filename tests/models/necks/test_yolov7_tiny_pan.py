from __future__ import annotations

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.yolov7_tiny_pan import LightPyramidPool, Yolov7TinyPanConfig

SPEC = FeatureSpec((5, 6, 7), (8, 16, 32))


def test_three_maps_in_three_maps_out() -> None:
    neck = Yolov7TinyPanConfig(width=4).build(SPEC).eval()
    assert neck.features == FeatureSpec((8, 16, 32), (8, 16, 32))
    found = neck([torch.randn(2, 5, 12, 20), torch.randn(2, 6, 6, 10), torch.randn(2, 7, 3, 5)])
    assert [tuple(x.shape) for x in found] == [(2, 8, 12, 20), (2, 16, 6, 10), (2, 32, 3, 5)]


def test_every_level_sees_every_map() -> None:
    neck = Yolov7TinyPanConfig(width=4).build(SPEC).eval()
    maps = [torch.randn(1, width, side, side) for width, side in ((5, 8), (6, 4), (7, 2))]
    for level in range(3):
        inputs = [x.clone().requires_grad_() for x in maps]
        neck(inputs)[level].square().sum().backward()
        assert all(x.grad is not None and bool(x.grad.any()) for x in inputs)


def test_the_pooled_path_stands_before_the_crossing_one() -> None:
    pool = LightPyramidPool(5, 4, act="identity").eval()
    x = torch.randn(1, 5, 6, 9)
    before = pool.before(x)
    maxima = [torch.nn.functional.max_pool2d(before, side, 1, side // 2) for side in (13, 9, 5)]
    pooled = pool.after(torch.cat((*maxima, before), 1))
    torch.testing.assert_close(pool(x), pool.join(torch.cat((pooled, pool.cross(x)), 1)))


@pytest.mark.parametrize("strides", [(16, 32), (8, 16, 64), (32,)])
def test_levels_that_it_cannot_take_are_refused(strides: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"neck\.kind = 'yolov7_tiny_pan': gets levels of stride .*; it takes three"):
        Yolov7TinyPanConfig().build(FeatureSpec((4,) * len(strides), strides))
