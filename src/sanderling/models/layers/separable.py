"""Depthwise-separable convolution with normalisation and activation after both steps."""

from __future__ import annotations

from torch import Tensor, nn

from sanderling.models.layers.activations import Activation, activation


class SeparableConv(nn.Module):
    """Depthwise kxk, BN, activation, pointwise 1x1, BN, activation."""

    def __init__(self, channels_in: int, channels_out: int, *, kernel: int, stride: int, act: Activation) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels_in, channels_in, kernel, stride, kernel // 2, groups=channels_in, bias=False
        )
        self.dwnorm = nn.BatchNorm2d(channels_in)
        self.pointwise = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.pwnorm = nn.BatchNorm2d(channels_out)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, ceil(H / stride), ceil(W / stride))."""
        x = self.act(self.dwnorm(self.depthwise(x)))
        return self.act(self.pwnorm(self.pointwise(x)))
