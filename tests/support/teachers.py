"""Teachers that need neither a package nor a download."""

from __future__ import annotations

from collections.abc import Mapping

import timm
import torch
from torch import Tensor, nn

from sanderling.compression.teacher import Teacher
from sanderling.models.network import Normalisation
from sanderling.models.weights.imagenet import ImageNetSource

TINY = "test_efficientnet"
"""timm's smallest classifier of 1000 classes."""


def tiny_teacher(classes: int = 7, *, seed: int = 0) -> Teacher:
    """A convolution, BatchNorm with statistics of its own, and a linear layer."""
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d(6)
    norm.get_buffer("running_mean").normal_()
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=4), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, classes)
    )
    with torch.no_grad():
        network[-1].weight.mul_(20)  # type: ignore[operator]
    return Teacher(network, normalisation=Normalisation(), classes=classes)


def nobodys_weights(source: ImageNetSource, **_: object) -> Mapping[str, Tensor]:
    """The tensors of a timm classifier as it is drawn."""
    torch.manual_seed(4)
    return timm.create_model(source.name, pretrained=False).state_dict()
