"""Any backbone of timm under NanoDet's neck and head: how a network that is not in this zoo becomes a detector.

https://github.com/huggingface/pytorch-image-models (Apache-2.0). Any convolutional model by its name there, its
ImageNet weights too (`pretrained: imagenet`); neck and head are free as for every other backbone. Nothing is published.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.models.backbones.timm_features import TimmConfig
from sanderling.models.heads.distribution import DistributionHeadConfig
from sanderling.models.necks.tiny_pan import TinyPanConfig
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.entry import ZooEntry
from sanderling.structures.artefact import PictureRule


def timm_debug(class_names: Sequence[str]) -> DetectorConfig:
    """LCNet at its smallest width: trains in seconds, for tests."""
    return DetectorConfig(
        name="timm-debug",
        backbone=TimmConfig(model="lcnet_035"),
        neck=TinyPanConfig(channels=48),
        head=DistributionHeadConfig(depth=1, bins=8, prior_scale=5.0),
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(256, 256), resize="letterbox", pad_value=0),
    )


ENTRIES = (ZooEntry(name="timm-debug", family="timm", make=timm_debug),)
