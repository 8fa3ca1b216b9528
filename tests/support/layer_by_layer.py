"""Networks held against others of the same layers: the state copied in order, maps taken on the way."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def copy_in_order(source: nn.Module, target: nn.Module) -> None:
    """Give a network the state of another that has as many tensors, in the same order under other names."""
    target.load_state_dict(dict(zip(target.state_dict(), source.state_dict().values(), strict=True)))


def maps_after(layers: nn.Sequential, x: Tensor, *, after: Sequence[int]) -> list[Tensor]:
    """What comes out of the layers of these indices."""
    found = []
    for index, layer in enumerate(layers):
        x = layer(x)
        if index in after:
            found.append(x)
    return found


def require_same_maps(theirs: nn.Sequential, ours: nn.Module, *, after: Sequence[int]) -> None:
    """Our backbone hands on what torchvision's says after the layers of these indices, at an odd size."""
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            # Ours is that of the published weights.
            module.eps = 1e-3
    copy_in_order(theirs, ours)
    x = torch.randn(1, 3, 75, 133)
    torch.testing.assert_close(ours(x), maps_after(theirs, x, after=after))
