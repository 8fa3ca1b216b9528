"""DropBlock: in training, squares of a map are left out instead of single numbers, https://arxiv.org/abs/1810.12890."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

BlockSide = Literal[3, 5, 7]
"""Cells of a square's side; odd, so that a square has a middle."""


class DropBlock(nn.Module):
    """Leaves out squares of `block` x `block` cells, in each channel other ones, and makes up for their share.

    A square starts at a cell with the probability `(1 - keep) / block**2 * H / (H - block + 1) * W / (W - block + 1)`,
    so that about `1 - keep` of the cells are lost. In eval mode nothing happens.
    """

    def __init__(self, block: BlockSide = 3, keep: float = 0.9) -> None:
        super().__init__()
        self.block, self.keep = block, keep

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        if not self.training or self.keep == 1:
            return x
        seeds = (x.new_empty(x.shape).uniform_() < self.seed_probability(x.shape[-2], x.shape[-1])).to(x.dtype)
        kept = 1 - F.max_pool2d(seeds, self.block, 1, self.block // 2)
        return x * kept * (kept.numel() / kept.sum().clamp(min=1))

    def seed_probability(self, height: int, width: int) -> float:
        """Of a cell of such a map; a map smaller than the square counts as if it had room for just one."""
        places = max(height - self.block + 1, 1) * max(width - self.block + 1, 1)
        return (1 - self.keep) / self.block**2 * height * width / places
