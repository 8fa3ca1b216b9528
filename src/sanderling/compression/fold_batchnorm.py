"""BatchNorm folded into the convolutions before it: without it a frozen network is up to half as fast again.

A module does not say which BatchNorm follows which convolution. The order of registration does, in nearly all networks;
therefore the folded network is compared with the one that it was made from.
"""

from __future__ import annotations

import copy
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

_CLOSE = 1e-3


@torch.no_grad()
def fold_batchnorm(network: nn.Module, sample: Tensor) -> nn.Module:
    """A copy that says the same, up to rounding, without the BatchNorm that stands behind convolutions.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).eval()
    >>> fold_batchnorm(network, torch.rand(1, 3, 9, 9))[1]
    Identity()

    Args:
        network: in eval mode, with a tensor as its answer.
        sample: what both are asked to be compared, on the network's device.

    Returns:
        The copy, or the network itself where the two differ: its BatchNorm stands elsewhere.
    """
    folded = copy.deepcopy(network)
    before: nn.Conv2d | None = None
    for name, module in list(folded.named_modules()):
        if isinstance(module, nn.Conv2d):
            before = module
        elif before is not None and _takes_from(module, before):
            _fold(module, before)
            parent, _, leaf = name.rpartition(".")
            # timm's BatchNorm carries the activation that follows it.
            setattr(folded.get_submodule(parent), leaf, getattr(module, "act", nn.Identity()))
            before = None
    said, expected = folded(sample), network(sample)
    same = torch.allclose(said, expected, rtol=0, atol=_CLOSE * float(expected.abs().max()))
    return folded if same else network


def _takes_from(module: nn.Module, convolution: nn.Conv2d) -> TypeGuard[nn.BatchNorm2d]:
    """Whether a module can be the BatchNorm of a convolution; one without statistics takes those of its batch."""
    if not isinstance(module, nn.BatchNorm2d) or module.running_mean is None:
        return False
    return module.num_features == convolution.out_channels


def _fold(norm: nn.BatchNorm2d, convolution: nn.Conv2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
