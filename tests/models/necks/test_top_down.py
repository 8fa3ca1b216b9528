from __future__ import annotations

import torch
from torch import Tensor, nn

from sanderling.models.necks.top_down import top_down


class _Double(nn.Module):
    """The route is twice the input, the tip its negative."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return 2 * x, -x


def test_the_coarser_route_comes_first_and_in_double_size() -> None:
    fine, coarse = torch.randn(1, 3, 4, 6), torch.randn(1, 2, 2, 3)
    tips = top_down([fine, coarse], [_Double(), _Double()], [nn.Identity()])
    doubled = (2 * coarse).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(tips[0], -torch.cat((doubled, fine), 1))
    assert torch.equal(tips[1], -coarse)


def test_three_levels_come_back_finest_first() -> None:
    maps = [torch.randn(1, 1, side, 2 * side) for side in (8, 4, 2)]
    tips = top_down(maps, [_Double() for _ in maps], [nn.Identity(), nn.Identity()])
    assert [tuple(tip.shape[1:]) for tip in tips] == [(3, 8, 16), (2, 4, 8), (1, 2, 4)]
