"""Exponential moving average of a network: what is validated and shipped."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field

from sanderling.models.network import DetectorNetwork


@dataclass(frozen=True, kw_only=True, slots=True)
class EmaConfig:
    """How long the average remembers. NanoDet-Plus: 0.9998 with a ramp of 2000 steps."""

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.9998
    ramp: Annotated[float, Field(gt=0)] = 2000.0
    """Steps after which the average has grown to 63 % of its memory; until then it follows the network closely."""


class Ema:
    """A copy of a network whose weights and BatchNorm statistics trail behind."""

    def __init__(self, network: DetectorNetwork, config: EmaConfig) -> None:
        self.config = config
        self.network = copy.deepcopy(network).eval()
        self.network.requires_grad_(False)

    @torch.no_grad()
    def update(self, network: DetectorNetwork, step: int) -> None:
        """Take in the network after optimiser step `step` (from 0)."""
        share = 1 - self.config.decay * (1 - math.exp(-(1 + step) / self.config.ramp))
        ours, theirs = self.network.state_dict(), network.state_dict()
        floating = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([ours[name] for name in floating], [theirs[name] for name in floating], share)
        for name in ours.keys() - set(floating):
            ours[name].copy_(theirs[name])
