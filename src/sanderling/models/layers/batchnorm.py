"""The constants of BatchNorm that a family of networks shares."""

from __future__ import annotations

from torch import nn

YOLO_EPS, YOLO_MOMENTUM = 1e-3, 0.1
"""The eps is YOLOv5's, which YOLOR and YOLOv7 keep. Their momentum is 0.03, with which the statistics lag behind in a
training of some hundred steps."""


def set_batchnorm(module: nn.Module, *, eps: float, momentum: float) -> None:
    """Give every BatchNorm inside a module the same constants."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps, norm.momentum = eps, momentum
