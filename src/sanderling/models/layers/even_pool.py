"""Max pooling over two by two pixels that keeps the size: the window reaches one pixel to the right and down.

darknet pads a pool by `size - 1` in all, half of it (rounded down) left and above; for a size of two and a stride of
one that is one row below and one column to the right, of nothing. Repeating the last row and column gives the same
maxima and needs no infinite numbers in an exported graph.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class EvenPool(nn.Module):
    """The maximum of each pixel, its right, its lower and its lower right neighbour, as far as they exist."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return F.max_pool2d(F.pad(x, (0, 1, 0, 1), mode="replicate"), 2, 1)
