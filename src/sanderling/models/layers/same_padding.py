"""Padding as TensorFlow's SAME has it: as many outputs as strides fit, an odd pixel right and below.

With stride 2 and an even size that is one pixel less on the left and above than on the other sides; weights that were
trained so see other pixels under a symmetric padding.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def same_padding(size: int, *, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after an axis of `size` pixels, so that a convolution gives ceil(size / stride).

    >>> same_padding(320, kernel=3, stride=2)
    (0, 1)
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A square convolution with SAME padding; its size is known when a graph is traced, so none of this is exported.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
        kernel: side of the kernel.
        stride: in both directions.
        groups: of the convolution.
        bias: add a learned constant per channel.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, groups: int = 1, bias: bool = True
    ) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        top, bottom = same_padding(x.shape[-2], kernel=kernel, stride=stride)
        left, right = same_padding(x.shape[-1], kernel=kernel, stride=stride)
        if (top, left) == (bottom, right):
            # The convolution pads by itself, without a copy of the map.
            return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), groups=self.groups)
        padded = F.pad(x, (left, right, top, bottom))
        return F.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)
