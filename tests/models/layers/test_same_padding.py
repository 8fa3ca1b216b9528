from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.same_padding import SameConv2d, same_padding


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (320, 3, 2, (0, 1)),
        (319, 3, 2, (1, 1)),
        (10, 5, 2, (1, 2)),
        (5, 5, 2, (2, 2)),
        (1, 3, 2, (1, 1)),
        (7, 3, 1, (1, 1)),
        (7, 5, 1, (2, 2)),
        (6, 1, 2, (0, 0)),
        (9, 1, 1, (0, 0)),
    ],
)
def test_pixels_before_and_after(size: int, kernel: int, stride: int, expected: tuple[int, int]) -> None:
    assert same_padding(size, kernel=kernel, stride=stride) == expected


def _slowly(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """One channel, tap by tap; what lies outside of the picture is 0."""
    height, width = x.shape
    kernel = weight.shape[0]
    out = torch.zeros(-(-height // stride), -(-width // stride))
    top, left = (max((-(-side // stride) - 1) * stride + kernel - side, 0) // 2 for side in (height, width))
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            for dy in range(kernel):
                for dx in range(kernel):
                    y, z = row * stride + dy - top, column * stride + dx - left
                    if 0 <= y < height and 0 <= z < width:
                        out[row, column] += x[y, z] * weight[dy, dx]
    return out


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("size_hw", [(8, 6), (7, 10), (5, 9), (1, 2)])
def test_any_size_agrees_with_the_slow_form(size_hw: tuple[int, int], kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    conv = SameConv2d(1, 1, kernel, stride=stride)
    x = torch.randn(1, 1, *size_hw)
    assert conv.bias is not None
    expected = _slowly(x[0, 0], conv.weight[0, 0], stride) + conv.bias
    torch.testing.assert_close(conv(x)[0, 0], expected)


def test_groups_stay_apart_and_a_block_takes_it_on_request() -> None:
    torch.manual_seed(0)
    block = ConvNormAct(4, 4, 3, stride=2, groups=4, act="identity", same=True).eval()
    x = torch.randn(2, 4, 6, 8)
    found = block(x)
    for channel in range(4):
        expected = _slowly(x[1, channel], block.conv.weight[channel, 0], 2) / (1 + 1e-5) ** 0.5
        torch.testing.assert_close(found[1, channel], expected)
    symmetric = ConvNormAct(4, 4, 3, stride=2, groups=4, act="identity").eval()
    symmetric.load_state_dict(block.state_dict())
    assert not torch.allclose(symmetric(x), found)
