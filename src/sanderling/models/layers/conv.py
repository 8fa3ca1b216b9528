"""Convolution, normalisation, activation: the block that most published networks are made of."""

from __future__ import annotations

from torch import Tensor, nn

from sanderling.models.layers.activations import Activation, activation
from sanderling.models.layers.same_padding import SameConv2d


class ConvNormAct(nn.Module):
    """Convolution without bias, BatchNorm, activation; odd kernels are padded so that stride 1 keeps the size.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
        kernel: side of the kernel.
        stride: 1 or 2.
        groups: of the convolution; `channels_in` makes it depthwise.
        act: the activation.
        eps: of BatchNorm.
        momentum: of BatchNorm, the weight of the new statistics.
        same: pad as TensorFlow's SAME has it, which differs where the stride is 2 and the size even.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        act: Activation,
        eps: float = 1e-5,
        momentum: float = 0.1,
        same: bool = False,
    ) -> None:
        super().__init__()
        self.conv = (
            SameConv2d(channels_in, channels_out, kernel, stride=stride, groups=groups, bias=False)
            if same
            else nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        )
        self.norm = nn.BatchNorm2d(channels_out, eps=eps, momentum=momentum)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, ceil(H / stride), ceil(W / stride))."""
        return self.act(self.norm(self.conv(x)))
