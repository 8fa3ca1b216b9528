"""Activations by name."""

from __future__ import annotations

from typing import Literal

from torch import nn

Activation = Literal["identity", "relu", "relu6", "leaky_relu", "silu", "hardswish", "mish"]


def activation(name: Activation) -> nn.Module:
    """A fresh activation module; `leaky_relu` has the slope 0.1 that the light detectors were trained with."""
    match name:
        case "identity":
            return nn.Identity()
        case "relu":
            return nn.ReLU(inplace=True)
        case "relu6":
            return nn.ReLU6(inplace=True)
        case "leaky_relu":
            return nn.LeakyReLU(0.1, inplace=True)
        case "silu":
            return nn.SiLU(inplace=True)
        case "hardswish":
            return nn.Hardswish(inplace=True)
        case "mish":
            return nn.Mish(inplace=True)
