"""NanoDet-m: ShuffleNetV2, a path aggregation without convolutions, and a light distribution head.

https://github.com/RangiLyu/nanodet, v0.1 to v1.0 (Apache-2.0). Facts: 959,348 parameters as published, 9,312 of them
never used; 342.2 M multiply-adds at 320x320 and 578.4 M at 416x416; COCO val2017 AP 20.6 at 320 and 23.5 at 416.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sanderling.models.backbones.shufflenet_v2 import ShuffleNetV2Config
from sanderling.models.heads.distribution import DistributionHeadConfig
from sanderling.models.necks.tiny_pan import TinyPanConfig
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.entry import Published, ZooEntry
from sanderling.structures.artefact import PictureRule

_SOURCE = "NanoDet README, model zoo"

# The published checkpoints hold a box-only 1x1 per level beside the shared output; nothing reads it.
UNUSED = ("head.gfl_reg.",)


def nanodet_m(class_names: Sequence[str]) -> DetectorConfig:
    """NanoDet-m at 320x320."""
    return DetectorConfig(
        name="nanodet-m",
        backbone=ShuffleNetV2Config(channels=(116, 232, 464), units=(4, 8, 4)),
        neck=TinyPanConfig(channels=96),
        head=DistributionHeadConfig(depth=2, bins=8, prior_scale=5.0, unused_box_outputs=True),
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(320, 320), resize="letterbox", pad_value=0),
    )


def nanodet_m_416(class_names: Sequence[str]) -> DetectorConfig:
    """NanoDet-m at 416x416: the same network, published with its own weights."""
    return dataclasses.replace(nanodet_m(class_names).with_picture(size_hw=(416, 416)), name="nanodet-m-416")


def nanodet_debug(class_names: Sequence[str]) -> DetectorConfig:
    """The same structure at a size that trains in seconds; for tests and the demonstration."""
    return DetectorConfig(
        name="nanodet-debug",
        backbone=ShuffleNetV2Config(stem=16, channels=(32, 64, 128), units=(2, 2, 2)),
        neck=TinyPanConfig(channels=48),
        head=DistributionHeadConfig(depth=1, bins=8, prior_scale=5.0),
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(256, 256), resize="letterbox", pad_value=0),
    )


ENTRIES = (
    ZooEntry(
        name="nanodet-m",
        family="nanodet",
        make=nanodet_m,
        published=Published(parameters=959_348, macs=342_200_000, macs_step=100_000, ap=0.206, source=_SOURCE),
        unused_parameters=UNUSED,
    ),
    ZooEntry(
        name="nanodet-m-416",
        family="nanodet",
        make=nanodet_m_416,
        published=Published(parameters=959_348, macs=578_400_000, macs_step=100_000, ap=0.235, source=_SOURCE),
        unused_parameters=UNUSED,
    ),
    ZooEntry(name="nanodet-debug", family="nanodet", make=nanodet_debug),
)
