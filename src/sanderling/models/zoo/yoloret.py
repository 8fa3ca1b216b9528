"""YOLO-ReT: classifiers without their last blocks, RFCR in front of a light path aggregation, YOLOv3's head.

Paper: Ganesh, Chen, Yang, Chen, Winslett, WACV 2022, https://arxiv.org/abs/2110.13713; code:
https://github.com/prakharg24/yoloret (MIT). Facts for 80 classes at 320x320, counted from the authors' code:
MobileNetV2 x0.75 2,659,515 parameters and 1.02 G multiply-adds, x1.4 4,553,035 and 1.69 G, EfficientNet-B3 8,788,793
and 2.31 G; COCO AP 18.4, 19.1 and 19.7. (The file sizes in the paper are those of a neck that goes top-down only.)

Truncation: MobileNetV2 is kept up to its 16th of 17 inverted residuals, EfficientNet-B3 up to its 24th of 26, both
without the classifier's last convolution. So does the code; the paper's figure has the best B3 one block earlier.

Kept as published: the neck is as wide as the head has outputs, 3 * (classes + 5); outputs have no bias; anchors are
those of YOLOv3 at 416 for every input size; pixels are scaled to 0..1, whatever the backbone was pretrained with.
Different: convolutions of stride 2 are padded on all sides (Keras pads below and on the right); a picture gives at most
100 detections (there 20 of a class), scored from 0.01 on (there from 0.2, and all of them where mAP is measured), and
teaches with all of its boxes (there the first 20).

RFCR in front of YOLOv4-tiny is published with results and without code: the backbone is whole, four maps are collected,
and the mixed one goes to the levels that have outputs. That the maps are those which YOLOv4-tiny itself uses, and that
they meet at stride 16, is our reading: it adds 5 % (tiny) and 12 % (3l) of multiply-adds, in the paper 6 % and 16 % of
the time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from sanderling.errors import UsageError
from sanderling.models.backbones.csp_tiny import CspTinyConfig
from sanderling.models.backbones.efficientnet import SCALES, EfficientNetConfig, blocks_before_last_stage
from sanderling.models.backbones.mobilenet_v2 import MobileNetV2Config
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.rfcr import RfcrConfig
from sanderling.models.necks.tiny_yolo import TinyYoloNeckConfig
from sanderling.models.necks.yoloret import YoloretNeckConfig
from sanderling.models.network import BackboneConfig, DetectorConfig, NeckRowConfig, Normalisation
from sanderling.models.zoo.entry import Published, ZooEntry
from sanderling.models.zoo.yolov4_tiny import yolov4_tiny, yolov4_tiny_3l
from sanderling.structures.artefact import PictureRule, PostprocessRule

_NECK = YoloretNeckConfig()
_COUNTED = "counted from the authors' code; AP from the paper, table 6"
_TABLE_7 = "YOLO-ReT, https://arxiv.org/abs/2110.13713, table 7"
_NO_COUNTS = "no counts are published; where RFCR taps the backbone is our reading"


def yoloret_mobilenetv2(
    class_names: Sequence[str],
    *,
    width: float = 0.75,
    truncated: bool = True,
    rfcr: bool = True,
    neck: YoloretNeckConfig = _NECK,
) -> DetectorConfig:
    """YOLO-ReT on MobileNetV2 at 320x320.

    Args:
        class_names: what is detected.
        width: factor on the backbone's channels; published are 0.75 and 1.4.
        truncated: without the last block and convolution of the classifier.
        rfcr: collect the raw maps of strides 4 to 32 in front of the neck.
        neck: which way features take from there, and how wide.
    """
    return _yoloret(
        _named(f"yoloret-mobilenetv2-{width:g}", truncated=truncated, rfcr=rfcr, neck=neck),
        class_names,
        MobileNetV2Config(
            width=width, keep=16 if truncated else None, last_conv=not truncated, strides=_strides(rfcr=rfcr)
        ),
        rfcr=RfcrConfig() if rfcr else None,
        neck=neck,
    )


def yoloret_efficientnet(
    class_names: Sequence[str],
    *,
    size: Literal["b0", "b1", "b2", "b3"] = "b3",
    truncated: bool = True,
    keep: int | None = None,
    rfcr: bool = True,
    neck: YoloretNeckConfig = _NECK,
) -> DetectorConfig:
    """YOLO-ReT on EfficientNet at 320x320.

    Args:
        class_names: what is detected.
        size: of the backbone; published is b3.
        truncated: without the last stage and convolution of the classifier, which leaves 24 of b3's 26 blocks.
        keep: inverted residuals that are kept, if truncation shall cut elsewhere.
        rfcr: collect the raw maps of strides 4 to 32 in front of the neck.
        neck: which way features take from there, and how wide.

    Raises:
        UsageError: `keep` is given for a whole backbone.
    """
    width, depth = SCALES[size]
    if keep is not None and not truncated:
        raise UsageError(
            f"keep = {keep} with truncated = False: a whole backbone keeps all of its blocks; give one of two"
        )
    name = f"yoloret-efficientnet-{size}" if keep is None else f"yoloret-efficientnet-{size}-keep{keep}"
    kept = blocks_before_last_stage(depth) if truncated and keep is None else keep
    return _yoloret(
        _named(name, truncated=truncated, rfcr=rfcr, neck=neck),
        class_names,
        EfficientNetConfig(width=width, depth=depth, keep=kept, last_conv=not truncated, strides=_strides(rfcr=rfcr)),
        rfcr=RfcrConfig() if rfcr else None,
        neck=neck,
    )


def yoloret_debug(class_names: Sequence[str]) -> DetectorConfig:
    """The same structure at a size that trains in seconds."""
    return _yoloret(
        "yoloret-debug",
        class_names,
        MobileNetV2Config(width=0.35, depth=0.33, keep=7, strides=_strides(rfcr=True)),
        rfcr=RfcrConfig(collected=16, mixed=32),
        neck=YoloretNeckConfig(hidden=(32, 48, 64)),
        size_hw=(224, 224),
    )


def yolov4_tiny_rfcr(class_names: Sequence[str]) -> DetectorConfig:
    """YOLOv4-tiny with RFCR in front of its neck, at 416x416."""
    return _with_rfcr(yolov4_tiny(class_names), outputs=(16, 32))


def yolov4_tiny_3l_rfcr(class_names: Sequence[str]) -> DetectorConfig:
    """YOLOv4-tiny-3l with RFCR in front of its neck, at 608x608."""
    return _with_rfcr(yolov4_tiny_3l(class_names), outputs=(8, 16, 32))


def _with_rfcr(detector: DetectorConfig, *, outputs: tuple[int, ...]) -> DetectorConfig:
    return dataclasses.replace(
        detector,
        name=f"{detector.name}-rfcr",
        backbone=CspTinyConfig(strides=(4, 8, 16, 32)),
        neck=NeckRowConfig(first=RfcrConfig(outputs=outputs), then=TinyYoloNeckConfig()),
    )


def _named(name: str, *, truncated: bool, rfcr: bool, neck: YoloretNeckConfig) -> str:
    """The name, with what is not as published."""
    path = neck.path if neck.repeats == 1 else f"{neck.path}{neck.repeats}"
    parts = [name, "" if truncated else "whole", "" if rfcr else "plain", "" if path == _NECK.path else path]
    return "-".join(filter(None, parts))


def _strides(*, rfcr: bool) -> tuple[int, ...]:
    return (4, 8, 16, 32) if rfcr else (8, 16, 32)


def _yoloret(
    name: str,
    class_names: Sequence[str],
    backbone: BackboneConfig,
    *,
    rfcr: RfcrConfig | None,
    neck: YoloretNeckConfig,
    size_hw: tuple[int, int] = (320, 320),
) -> DetectorConfig:
    return DetectorConfig(
        name=name,
        backbone=backbone,
        neck=neck if rfcr is None else NeckRowConfig(first=rfcr, then=neck),
        head=YoloHeadConfig(bias=False),
        class_names=tuple(class_names),
        normalisation=Normalisation(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
        picture=PictureRule(size_hw=size_hw, resize="letterbox", pad_value=0),
        postprocess=PostprocessRule(score=0.01, iou=0.5, max_detections=100),
    )


ENTRIES = (
    ZooEntry(
        name="yoloret-mobilenetv2-0.75",
        family="yoloret",
        make=yoloret_mobilenetv2,
        published=Published(
            parameters=2_659_515, macs=1_020_000_000, macs_step=10_000_000, ap=0.184, ap50=0.349, source=_COUNTED
        ),
    ),
    ZooEntry(
        name="yoloret-mobilenetv2-1.4",
        family="yoloret",
        make=lambda class_names: yoloret_mobilenetv2(class_names, width=1.4),
        published=Published(
            parameters=4_553_035, macs=1_690_000_000, macs_step=10_000_000, ap=0.191, ap50=0.358, source=_COUNTED
        ),
    ),
    ZooEntry(
        name="yoloret-efficientnet-b3",
        family="yoloret",
        make=yoloret_efficientnet,
        published=Published(
            parameters=8_788_793, macs=2_310_000_000, macs_step=10_000_000, ap=0.197, ap50=0.365, source=_COUNTED
        ),
    ),
    ZooEntry(
        name="yolov4-tiny-rfcr",
        family="yolov4-tiny",
        make=yolov4_tiny_rfcr,
        published=Published(ap=0.229, ap50=0.415, source=_TABLE_7, note=_NO_COUNTS),
    ),
    ZooEntry(
        name="yolov4-tiny-3l-rfcr",
        family="yolov4-tiny",
        make=yolov4_tiny_3l_rfcr,
        published=Published(ap=0.293, ap50=0.481, source=_TABLE_7, note=_NO_COUNTS),
    ),
    ZooEntry(name="yoloret-debug", family="yoloret", make=yoloret_debug),
)
