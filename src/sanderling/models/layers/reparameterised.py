"""Convolutions that are trained as several branches and run as one.

RepVGG, https://arxiv.org/abs/2101.03697: a convolution followed by BatchNorm is linear, so that parallel branches of
the same stride sum to a single convolution with a bias.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sanderling.models.layers.activations import Activation, activation


class RepConv(nn.Module):
    """3x3, 1x1 and, where the shape stays, identity, each with BatchNorm, summed; then the activation.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
        stride: 1 or 2.
        act: the activation.
        deployed: one 3x3 with bias in place of the branches.
    """

    def __init__(
        self, channels_in: int, channels_out: int, *, stride: int = 1, act: Activation, deployed: bool = False
    ) -> None:
        super().__init__()
        self.deployed = deployed
        self.act = activation(act)
        if deployed:
            self.rbr_reparam = nn.Conv2d(channels_in, channels_out, 3, stride, 1)
            return
        keeps_shape = channels_in == channels_out and stride == 1
        self.rbr_identity = nn.BatchNorm2d(channels_in) if keeps_shape else None
        self.rbr_dense = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False), nn.BatchNorm2d(channels_out)
        )
        self.rbr_1x1 = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, ceil(H / stride), ceil(W / stride))."""
        if self.deployed:
            return self.act(self.rbr_reparam(x))
        total = self.rbr_dense(x) + self.rbr_1x1(x)
        return self.act(total if self.rbr_identity is None else total + self.rbr_identity(x))

    @torch.no_grad()
    def merged_state(self) -> dict[str, Tensor]:
        """The state of the deployed form, which says the same in eval mode."""
        if self.deployed:
            return self.state_dict()
        branches = [_folded(*self.rbr_dense), _folded(*self.rbr_1x1)]
        if self.rbr_identity is not None:
            channels = self.rbr_identity.num_features
            identity = torch.eye(channels, dtype=torch.float64, device=self.rbr_identity.weight.device)
            branches.append(_scaled(identity[..., None, None], self.rbr_identity))
        kernel, bias = (sum(parts[1:], parts[0]) for parts in zip(*branches, strict=True))
        dtype = self.rbr_dense[0].weight.dtype
        return {"rbr_reparam.weight": kernel.to(dtype), "rbr_reparam.bias": bias.to(dtype)}


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    return _scaled(conv.weight.double(), norm)


def _scaled(kernel: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Kernel, padded to 3x3, and bias of a convolution without bias followed by BatchNorm's running statistics."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight.double() / (variance.double() + norm.eps).sqrt()
    border = (3 - kernel.shape[-1]) // 2
    return F.pad(kernel, [border] * 4) * scale[:, None, None, None], norm.bias.double() - mean.double() * scale
