from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.elan import DoubleDown, Elan


@pytest.mark.parametrize(("stack", "taps"), [(1, (1, 2, 3, 4)), (2, (2, 4)), (4, (4,))])
def test_every_so_many_outputs_are_joined_newest_first(stack: int, taps: tuple[int, ...]) -> None:
    block = Elan(10, 12, width=6, chain=4, depth=4, stack=stack, act="silu").eval()
    x = torch.randn(2, 10, 5, 9)
    outputs = [block.enter(x)]
    for conv in [module for module in block.stacks.modules() if isinstance(module, ConvNormAct)]:
        outputs.append(conv(outputs[-1]))
    assert len(outputs) == 5
    joined = torch.cat([*(outputs[tap] for tap in reversed(taps)), outputs[0], block.cross(x)], 1)
    y = block(x)
    assert y.shape == (2, 12, 5, 9)
    torch.testing.assert_close(y, block.join(joined))


def test_sides_that_cannot_be_halved_are_rounded_up() -> None:
    down = DoubleDown(3, 2, act="identity").eval()
    x = torch.randn(1, 3, 5, 8)
    found = down(x)
    assert found.shape == (1, 4, 3, 4)
    pooled = torch.stack([x[..., row : row + 2, :].unflatten(-1, (4, 2)).amax((-3, -1)) for row in (0, 2, 4)], -2)
    torch.testing.assert_close(found[:, 2:], down.pooled[1](pooled))


def test_stride_two_in_two_ways_the_strided_first() -> None:
    block = DoubleDown(6, 4, act="silu").eval()
    x = torch.randn(2, 6, 8, 14)
    y = block(x)
    assert y.shape == (2, 8, 4, 7)
    torch.testing.assert_close(y[:, :4], block.strided(x))
    torch.testing.assert_close(y[:, 4:], block.pooled[1](F.max_pool2d(x, 2)))
