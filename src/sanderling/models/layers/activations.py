"""Activations by name."""

from __future__ import annotations

from typing import Literal

from torch import nn

Activation = Literal["relu", "relu6", "leaky_relu"]


def activation(name: Activation) -> nn.Module:
    """A fresh activation module; `leaky_relu` has the slope 0.1 that the light detectors were trained with."""
    match name:
        case "relu":
            return nn.ReLU(inplace=True)
        case "relu6":
            return nn.ReLU6(inplace=True)
        case "leaky_relu":
            return nn.LeakyReLU(0.1, inplace=True)
