"""Maps brought to the size of another level's.

Levels halve exactly where the input is a multiple of their strides. Behind a neck that adds a coarser level, sides may
be rounded up (224 at stride 64: 4 cells under 7), so the finer map says how large the coarser one becomes.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def nearest_like(x: Tensor, like: Tensor) -> Tensor:
    """A coarse map (B, C, H, W) in the size of the finer `like`, by nearest neighbours."""
    rows, columns = like.shape[-2] // x.shape[-2], like.shape[-1] // x.shape[-1]
    if rows == columns and (rows * x.shape[-2], columns * x.shape[-1]) == tuple(like.shape[-2:]):
        # A factor instead of a size is what every engine reads.
        return F.interpolate(x, scale_factor=float(rows), mode="nearest")
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")


def bilinear_like(x: Tensor, like: Tensor) -> Tensor:
    """A map (B, C, H, W) in the size of `like`, bilinear, whether it grows or shrinks."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def pooled(x: Tensor, factor: int) -> Tensor:
    """The largest values of a map (B, C, H, W) over squares of `factor` cells, sides rounded up."""
    cut = x.shape[-2] % factor > 0 or x.shape[-1] % factor > 0
    return F.max_pool2d(x, factor, ceil_mode=cut)
