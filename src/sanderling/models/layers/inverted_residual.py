"""Inverted residual with a linear bottleneck: narrow, wide, narrow, and the narrow ends are added.

MobileNetV2, https://arxiv.org/abs/1801.04381; with squeeze and excitation it is the MBConv of EfficientNet,
https://arxiv.org/abs/1905.11946.
"""

from __future__ import annotations

from torch import Tensor, nn

from sanderling.models.layers.activations import Activation
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.squeeze_excite import Gate, SqueezeExcite


class InvertedResidual(nn.Module):
    """1x1 to `expanded` channels, depthwise kxk, squeeze and excitation where asked for, linear 1x1.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output; input and output are added where their shapes are the same.
        expanded: channels of the depthwise convolution; `channels_in` leaves the first 1x1 out.
        always_expand: have the first 1x1 even then.
        kernel: side of the depthwise kernel.
        stride: of the depthwise convolution.
        squeezed: channels inside squeeze and excitation; None has none.
        act: activation of all but the last convolution.
        squeeze_act: activation inside squeeze and excitation; `act` without it.
        gate: of squeeze and excitation.
        dropout: share of the inner path's numbers that are dropped before they are added.
        eps: of BatchNorm; 1e-3 as in the authors' code.
        same: pad as TensorFlow's SAME has it.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        expanded: int,
        always_expand: bool = False,
        kernel: int = 3,
        stride: int = 1,
        squeezed: int | None = None,
        act: Activation,
        squeeze_act: Activation | None = None,
        gate: Gate = "sigmoid",
        dropout: float = 0.0,
        eps: float = 1e-3,
        same: bool = False,
    ) -> None:
        super().__init__()
        expands = always_expand or expanded != channels_in
        self.expand = ConvNormAct(channels_in, expanded, 1, act=act, eps=eps) if expands else None
        self.depthwise = ConvNormAct(
            expanded, expanded, kernel, stride=stride, groups=expanded, act=act, eps=eps, same=same
        )
        self.squeeze = (
            SqueezeExcite(expanded, squeezed, act=squeeze_act or act, gate=gate) if squeezed is not None else None
        )
        self.project = ConvNormAct(expanded, channels_out, 1, act="identity", eps=eps)
        self.adds = stride == 1 and channels_in == channels_out
        self.dropout = nn.Dropout(dropout) if self.adds and dropout else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, ceil(H / stride), ceil(W / stride))."""
        inner = x if self.expand is None else self.expand(x)
        inner = self.depthwise(inner)
        if self.squeeze is not None:
            inner = self.squeeze(inner)
        inner = self.project(inner)
        if self.dropout is not None:
            inner = self.dropout(inner)
        return x + inner if self.adds else inner
