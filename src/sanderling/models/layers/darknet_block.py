"""Darknet's block: 1x1 to fewer channels, 3x3 back, and the input added.

YOLOv3, https://arxiv.org/abs/1804.02767; with only a share of the channels added it is PRN's.
"""

from __future__ import annotations

from torch import Tensor, nn

from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.partial_residual import add_first_channels


class DarknetBlock(nn.Module):
    """1x1 to `hidden`, 3x3 to `channels_out`, plus the input on the first `share` of the channels.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
        hidden: channels between both convolutions.
        share: of the channels that the input is added to, 0..1; 0 for a block without an identity. Above 0 input and
            output have as many channels.
        act: after each convolution; the sum has none.
    """

    def __init__(
        self, channels_in: int, channels_out: int, *, hidden: int, share: float = 1.0, act: Activation
    ) -> None:
        super().__init__()
        self.reduce = ConvNormAct(channels_in, hidden, 1, act=act)
        self.expand = ConvNormAct(hidden, channels_out, 3, act=act)
        self.added = round(share * channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H, W)."""
        y = self.expand(self.reduce(x))
        return add_first_channels(y, x, self.added) if self.added else y
