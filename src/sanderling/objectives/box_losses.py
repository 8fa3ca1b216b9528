"""What each box of a batch adds to the loss of the boxes. Axes: T boxes of all pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def loss_of_each_box(losses: Mapping[str, Tensor], weights: Tensor, *, terms: Sequence[str]) -> Tensor:
    """Divide the sum of some losses among the boxes, from what an objective gives anyway.

    Every objective sums over the points that learn a box what the box's weight multiplies, and no divisor holds a
    weight. So the losses are linear in the weights, and a box's part, over all of its points, is exactly its weight
    times the slope there. That only goes from the losses to the weights and not through the network.

    Args:
        losses: of an objective; their graph is left for the backward pass.
        weights: T, those of the targets that the objective was given; they require a gradient.
        terms: names of the losses that are meant; those that the objective does not give at present are left out.

    Returns:
        (T), detached; it adds up to the sum of the losses.
    """
    found = [losses[name] for name in terms if name in losses]
    if not found:
        return torch.zeros_like(weights)
    (slopes,) = torch.autograd.grad(torch.stack(found).sum(), weights, retain_graph=True)
    return weights.detach() * slopes
