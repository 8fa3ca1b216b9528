"""A backbone that is a row of blocks: cut anywhere, tapped where the resolution halves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from sanderling.models.features import FeatureSpec, expect_strides


class Block(NamedTuple):
    """A block and what it gives."""

    module: nn.Module
    channels: int
    stride: int
    """Of its output, in pixels of the picture."""


class BlocksByStride(nn.Module):
    """Blocks in a row, those of one stride together in a stage; the maps are the last ones of the asked strides.

    Raises:
        ModelError: there is no block of an asked stride.
    """

    def __init__(self, blocks: Sequence[Block], *, strides: tuple[int, ...]) -> None:
        super().__init__()
        known = sorted({block.stride for block in blocks})
        expect_strides(strides, known, rule=", or keep more blocks")
        # What comes after the last tap would never be used.
        self.strides = [stride for stride in known if stride <= strides[-1]]
        last = {block.stride: block.channels for block in blocks}
        self.features = FeatureSpec(tuple(last[stride] for stride in strides), strides)
        for stride in self.strides:
            stage = nn.Sequential(*(block.module for block in blocks if block.stride == stride))
            self.add_module(f"stride{stride}", stage)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to one map per asked stride, finest first."""
        maps = []
        for stride, stage in zip(self.strides, self.children(), strict=True):
            x = stage(x)
            if stride in self.features.strides:
                maps.append(x)
        return maps
