"""Hard negative mining: of the many points that hold nothing, only the worst answered ones teach.

OHEM, https://arxiv.org/abs/1604.03540, in the form of SSD, https://arxiv.org/abs/1512.02325: so many negatives per
positive of the same picture. Axes: B pictures, A points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class HardNegatives:
    """How many negatives of a picture teach."""

    ratio: Annotated[float, Field(ge=0)] = 3.0
    """At most so many for each of its positives, as in SSD."""
    floor: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Yet never fewer than this share of its points, or a picture without objects would teach nothing."""

    def chosen(self, losses: Tensor, negatives: Tensor, positives: Tensor) -> Tensor:
        """Which negatives teach: bool (B, A), without gradient.

        Args:
            losses: (B, A), what each point would contribute as a negative.
            negatives: bool (B, A), the points that may be chosen.
            positives: (B), the number of positives of each picture.

        >>> losses = torch.tensor([[0.1, 0.9, 0.5, 0.7]])
        >>> HardNegatives(ratio=2).chosen(losses, losses < 0.8, torch.tensor([1])).tolist()
        [[False, False, True, True]]
        """
        most = (positives * self.ratio).clamp(min=self.floor * losses.shape[1]).ceil()
        hardness = losses.detach().masked_fill(~negatives, -torch.inf)
        # Stable, so that of equally hard ones the same are chosen on every machine.
        order = hardness.argsort(dim=1, descending=True, stable=True)
        chosen = torch.zeros_like(negatives)
        among_first = torch.arange(losses.shape[1], device=losses.device) < most[:, None]
        return chosen.scatter_(1, order, among_first) & negatives
