"""The way of YOLO's necks: coarse to fine, each level in front of the next finer map, in its size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from sanderling.models.necks.resize import nearest_like


def top_down(maps: Sequence[Tensor], blocks: Iterable[nn.Module], transitions: Sequence[nn.Module]) -> list[Tensor]:
    """Run one block per level, coarsest first.

    Args:
        maps: of the backbone, finest first.
        blocks: coarsest first; each gives a route to the finer levels and a tip for those who come after the neck.
        transitions: between two levels, coarsest first; what each makes of the route gets the next finer map's size.

    Returns:
        the tips, finest first.
    """
    tips: list[Tensor] = []
    x = maps[-1]
    for level, block in enumerate(blocks):
        route, tip = block(x)
        tips.insert(0, tip)
        if level < len(transitions):
            finer = maps[-2 - level]
            x = torch.cat((nearest_like(transitions[level](route), finer), finer), 1)
    return tips


class RouteAndTip(nn.Module):
    """Layers to the route, which goes on to the finer levels, and from there one more to the tip, for the head."""

    def __init__(self, route: nn.Module, tip: nn.Module) -> None:
        super().__init__()
        self.route, self.tip = route, tip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A map to route and tip of its size."""
        route = self.route(x)
        return route, self.tip(route)
