"""Optimisers as values, and the parameter groups that they get."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class SgdConfig:
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"] = "sgd"
    lr: Positive = 0.14
    """Learning rate after warm-up."""
    momentum: Share = 0.9
    nesterov: bool = False
    weight_decay: Decay = 1e-4
    decay_norms: bool = True
    """Weight decay also on biases and normalisation layers, as NanoDet has it."""

    def __post_init__(self) -> None:
        """Check that there is a momentum to look ahead with."""
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov = true needs a momentum above 0; set momentum, or nesterov to false")

    def for_steps(self, times: float) -> SgdConfig:
        """The same for steps of so many times the pictures: the learning rate grows and falls in proportion."""
        return dataclasses.replace(self, lr=self.lr * times)

    def build(self, module: nn.Module) -> torch.optim.Optimizer:
        """Make the optimiser for the parameters that learn."""
        groups = parameter_groups(module, weight_decay=self.weight_decay, decay_norms=self.decay_norms)
        return torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov, fused=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class AdamWConfig:
    """Adam with decoupled weight decay, https://arxiv.org/abs/1711.05101."""

    kind: Literal["adamw"] = "adamw"
    lr: Positive = 1e-3
    """Learning rate after warm-up."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    weight_decay: Decay = 0.05
    decay_norms: bool = False
    """Weight decay also on biases and normalisation layers."""

    def for_steps(self, times: float) -> AdamWConfig:
        """The same for steps of so many times the pictures: the learning rate goes with the square root."""
        return dataclasses.replace(self, lr=self.lr * times**0.5)

    def build(self, module: nn.Module) -> torch.optim.Optimizer:
        """Make the optimiser for the parameters that learn."""
        groups = parameter_groups(module, weight_decay=self.weight_decay, decay_norms=self.decay_norms)
        return torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, fused=True)


OptimizerConfig = Annotated[SgdConfig | AdamWConfig, Field(discriminator="kind")]


def parameter_groups(module: nn.Module, *, weight_decay: float, decay_norms: bool) -> list[dict[str, Any]]:
    """Parameters that learn, in one group, or in two when biases and normalisation layers are not decayed."""
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if decay_norms:
        return _groups((learning, weight_decay))
    # Weights of convolutions and linear layers have more than one axis; scales and biases have one.
    decayed = [parameter for parameter in learning if parameter.ndim > 1]
    plain = [parameter for parameter in learning if parameter.ndim <= 1]
    return _groups((decayed, weight_decay), (plain, 0.0))


def _groups(*parts: tuple[Iterable[nn.Parameter], float]) -> list[dict[str, Any]]:
    return [{"params": params, "weight_decay": decay} for parameters, decay in parts if (params := list(parameters))]
