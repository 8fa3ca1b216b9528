from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sanderling.models.layers.conv import ConvNormAct


@pytest.mark.parametrize(
    ("kernel", "stride", "size"), [(3, 1, (7, 11)), (3, 2, (4, 6)), (1, 1, (7, 11)), (5, 2, (4, 6))]
)
def test_odd_sizes_are_kept_or_halved_upwards(kernel: int, stride: int, size: tuple[int, int]) -> None:
    block = ConvNormAct(4, 6, kernel, stride=stride, act="relu")
    assert block(torch.randn(2, 4, 7, 11)).shape == (2, 6, *size)


def test_it_is_convolution_then_normalisation_then_activation() -> None:
    torch.manual_seed(0)
    block = ConvNormAct(4, 6, 3, act="leaky_relu", eps=1e-3).eval()
    for tensor in (block.norm.weight, block.norm.bias, block.norm.running_mean, block.norm.running_var):
        assert tensor is not None
        tensor.data = torch.rand(6) + 0.5
    x = torch.randn(1, 4, 5, 9)
    convolved = F.conv2d(x, block.conv.weight, padding=1)
    mean, variance = block.norm.running_mean, block.norm.running_var
    assert mean is not None
    assert variance is not None
    scale = block.norm.weight / (variance + 1e-3).sqrt()
    expected = (convolved - mean.view(1, -1, 1, 1)) * scale.view(1, -1, 1, 1) + block.norm.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(block(x), torch.where(expected > 0, expected, 0.1 * expected))


def test_groups_make_it_depthwise_and_nothing_has_a_bias() -> None:
    block = ConvNormAct(8, 8, 3, groups=8, act="identity", momentum=0.03)
    assert block.conv.weight.shape == (8, 1, 3, 3)
    assert block.conv.bias is None
    assert block.norm.momentum == 0.03
