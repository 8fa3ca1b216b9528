"""Exponential moving average of a network: what is validated and shipped."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field

from sanderling.models.network import DetectorNetwork


@dataclass(frozen=True, kw_only=True, slots=True)
class EmaConfig:
    """How long the average remembers. NanoDet-Plus: 0.9998, exponential with a ramp of 2000 steps; PP-YOLO: fraction.

    The average starts as a copy of the network, so that its shares add up to 1 at every step. One that starts from
    zeros, as PaddleDetection's does, is too small by the share of the zeros and has to be divided by the rest before
    it is used.

    >>> [round(EmaConfig(form="fraction").decay_at(step), 4) for step in (0, 9, 90, 45_000)]
    [0.1, 0.5263, 0.91, 0.9998]
    """

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.9998
    """What the average keeps of itself at a step, once it is grown."""
    ramp: Annotated[float, Field(gt=0)] = 2000.0
    """Exponential form: steps after which the decay has grown to 63 %; until then the network is followed closely."""
    form: Literal["constant", "exponential", "fraction"] = "exponential"
    """How the decay grows over steps t: not at all, by 1 - exp(-(1 + t) / ramp), or as (1 + t) / (10 + t) up to it."""

    def decay_at(self, step: int) -> float:
        """What the average keeps of itself at a step, counted from 0."""
        if self.form == "constant":
            return self.decay
        if self.form == "fraction":
            return min(self.decay, (1 + step) / (10 + step))
        return self.decay * (1 - math.exp(-(1 + step) / self.ramp))


class Ema:
    """A copy of a network whose weights and BatchNorm statistics trail behind."""

    def __init__(self, network: DetectorNetwork, config: EmaConfig) -> None:
        self.config = config
        self.network = copy.deepcopy(network).eval()
        self.network.requires_grad_(False)

    @torch.no_grad()
    def update(self, network: DetectorNetwork, step: int) -> None:
        """Take in the network after optimiser step `step` (from 0)."""
        share = 1 - self.config.decay_at(step)
        ours, theirs = self.network.state_dict(), network.state_dict()
        floating = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([ours[name] for name in floating], [theirs[name] for name in floating], share)
        for name in ours.keys() - set(floating):
            ours[name].copy_(theirs[name])
