"""Squeeze and excitation: every channel is scaled by what the whole picture says, https://arxiv.org/abs/1709.01507."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from sanderling.models.layers.activations import Activation, activation

Gate = Literal["sigmoid", "hard_sigmoid", "paddle_hard_sigmoid"]
"""The exact one; x / 6 + 1/2 kept in 0..1 (MobileNetV3); x / 5 + 1/2 kept in 0..1 (PaddlePaddle's MobileNetV3)."""


class SqueezeExcite(nn.Module):
    """Mean over the picture, two 1x1 convolutions with bias, a gate per channel.

    Args:
        channels: of input and output.
        squeezed: channels between the two convolutions.
        act: the activation between them.
        gate: from the last convolution to factors in 0..1.
    """

    def __init__(self, channels: int, squeezed: int, *, act: Activation, gate: Gate = "sigmoid") -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.act = activation(act)
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to the same shape."""
        mean = x.mean((2, 3), keepdim=True)
        said = self.expand(self.act(self.reduce(mean)))
        match self.gate:
            case "sigmoid":
                return x * said.sigmoid()
            case "hard_sigmoid":
                return x * F.hardsigmoid(said)
            case "paddle_hard_sigmoid":
                return x * (0.2 * said + 0.5).clamp(0, 1)
