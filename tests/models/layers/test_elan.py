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


def test_stride_two_in_two_ways_the_strided_first() -> None:
    block = DoubleDown(6, 4, act="silu").eval()
    x = torch.randn(2, 6, 8, 14)
    y = block(x)
    assert y.shape == (2, 8, 4, 7)
    torch.testing.assert_close(y[:, :4], block.strided(x))
    torch.testing.assert_close(y[:, 4:], block.pooled[1](F.max_pool2d(x, 2)))
