from __future__ import annotations

import torch
from torch.nn import functional as F

from sanderling.models.layers.separable import SeparableConv


def test_it_is_depthwise_norm_act_pointwise_norm_act() -> None:
    block = SeparableConv(6, 10, kernel=5, stride=2, act="leaky_relu").eval()
    x = torch.randn(2, 6, 13, 21)
    middle = F.leaky_relu(block.dwnorm(F.conv2d(x, block.depthwise.weight, stride=2, padding=2, groups=6)), 0.1)
    expected = F.leaky_relu(block.pwnorm(F.conv2d(middle, block.pointwise.weight)), 0.1)
    found = block(x)
    assert found.shape == (2, 10, 7, 11)
    torch.testing.assert_close(found, expected)


def test_key_names_are_the_published_ones() -> None:
    names = {name for name, _ in SeparableConv(4, 4, kernel=3, stride=1, act="relu").named_parameters()}
    assert names == {
        *("depthwise.weight", "pointwise.weight"),
        *("dwnorm.weight", "dwnorm.bias", "pwnorm.weight", "pwnorm.bias"),
    }
