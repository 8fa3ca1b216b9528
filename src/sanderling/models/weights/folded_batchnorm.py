"""BatchNorm that a published file has folded into its convolutions: here it is the identity with a bias.

Mean 0 and variance `1 - eps` make it so, exactly, and no training of statistics ever ends there: the numbers themselves
are the mark, in every file and in every network.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

Norm = nn.BatchNorm2d | nn.SyncBatchNorm
"""BatchNorm, alone or over the processes of a run."""


def folded_state(name: str, norm: nn.BatchNorm2d, bias: Tensor | None) -> dict[str, Tensor]:
    """The tensors of a BatchNorm that only adds a bias.

    Args:
        name: of the BatchNorm in the network.
        norm: its shape and eps.
        bias: of the convolution before it; None for none.
    """
    ones = torch.ones(norm.num_features)
    return {
        f"{name}.weight": ones,
        f"{name}.bias": torch.zeros_like(ones) if bias is None else bias,
        f"{name}.running_mean": torch.zeros_like(ones),
        f"{name}.running_var": torch.full_like(ones, 1 - norm.eps),
        f"{name}.num_batches_tracked": torch.tensor(0),
    }


def folded_norms(network: nn.Module) -> Mapping[str, Norm]:
    """The BatchNorms of a network that came folded, by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, Norm) and _is_folded(module)}


def _is_folded(norm: Norm) -> bool:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        return False
    return bool((mean == 0).all()) and bool((variance == torch.full_like(variance, 1 - norm.eps)).all())
