"""Partial residual connection: only the first channels of an identity are added.

PRN, "Enriching Variety of Layer-wise Learning Information by Gradient Combination", ICCV workshops 2019; also
https://arxiv.org/abs/2211.04800, section 2.2.
"""

from __future__ import annotations

import torch
from torch import Tensor


def add_first_channels(x: Tensor, identity: Tensor, channels: int) -> Tensor:
    """Add the first `channels` channels of `identity` (B, C', H, W) to those of `x` (B, C, H, W); the rest of x stays.

    With C' unlike C and `channels` the smaller of both it is the asymmetric residual connection.
    """
    if channels == x.shape[1] == identity.shape[1]:
        return x + identity
    return torch.cat((x[:, :channels] + identity[:, :channels], x[:, channels:]), 1)
