"""FCOS: points instead of anchors, on a feature pyramid, each saying class, four sides and how central it is.

https://arxiv.org/abs/1904.01355. The published systems stand on ResNet50 and larger with five levels and are no
detectors for small devices; what is here is the way of detecting, for any backbone and pyramid: put an `fcos` head
behind them. Named is only a size for tests.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.models.backbones.mobilenet_v2 import MobileNetV2Config
from sanderling.models.heads.fcos import FcosHeadConfig
from sanderling.models.necks.fpn import FpnConfig
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.entry import ZooEntry
from sanderling.structures.artefact import PictureRule, PostprocessRule


def fcos_debug(class_names: Sequence[str]) -> DetectorConfig:
    """MobileNetV2 with a pyramid and the published form of head, at a size that trains in seconds."""
    return DetectorConfig(
        name="fcos-debug",
        backbone=MobileNetV2Config(width=0.25),
        neck=FpnConfig(channels=20),
        head=FcosHeadConfig(depth=1, groups=4),
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(224, 224), resize="letterbox"),
        postprocess=PostprocessRule(score=0.05, iou=0.6, max_detections=100),
    )


ENTRIES = (ZooEntry(name="fcos-debug", family="fcos", make=fcos_debug),)
