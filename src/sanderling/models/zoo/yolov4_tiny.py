"""YOLOv4-tiny: partial stages with one-shot aggregation, two levels, no pyramid beyond one doubled map.

Scaled-YOLOv4, https://arxiv.org/abs/2011.08036, and the cfg files of https://github.com/AlexeyAB/darknet. Facts: 21
convolutions, LeakyReLU 0.1; 6,056,606 parameters; 6.908 G operations at 416x416, twice the multiply-adds; COCO val2017
AP 22.0, AP50 42.1. Pictures are stretched to the input, RGB 0..1.

The level of stride 16 has the anchors 1, 2 and 3 of the six, so that the smallest is used nowhere and the fourth twice.
darknet gives a box to its best anchor among all six; boxes that fit the smallest best are then taught to nobody, and
those of the fourth to both levels. Our objective knows the anchors of the levels only: the small boxes go to the
second, those of the fourth to one level. The form with three levels has nine anchors, each once.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.models.backbones.csp_tiny import CspTinyConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.tiny_yolo import TinyYoloNeckConfig
from sanderling.models.network import DetectorConfig, Normalisation
from sanderling.models.zoo.entry import Published, ZooEntry
from sanderling.structures.artefact import PictureRule, PostprocessRule

DARKNET_NORMALISATION = Normalisation(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))
"""RGB 0..1, all that darknet does to a picture."""

DARKNET_POSTPROCESS = PostprocessRule(score=0.005, iou=0.45)
"""The thresholds that darknet's own evaluation uses."""

TINY_ANCHORS = (((23, 27), (37, 58), (81, 82)), ((81, 82), (135, 169), (344, 319)))
"""Masks 1, 2, 3 and 3, 4, 5 of 10,14 23,27 37,58 81,82 135,169 344,319."""

HEAD = YoloHeadConfig(anchors=TINY_ANCHORS, scale_xy=1.05)
"""YOLOv4-tiny's."""

HEAD_3L = YoloHeadConfig(
    anchors=(
        ((12, 16), (19, 36), (40, 28)),
        ((36, 75), (76, 55), (72, 146)),
        ((142, 110), (192, 243), (459, 401)),
    ),
    scale_xy=1.05,
)
"""YOLOv4-tiny-3l's."""


def yolov4_tiny(class_names: Sequence[str]) -> DetectorConfig:
    """YOLOv4-tiny at 416x416."""
    return DetectorConfig(
        name="yolov4-tiny",
        backbone=CspTinyConfig(),
        neck=TinyYoloNeckConfig(),
        head=HEAD,
        class_names=tuple(class_names),
        normalisation=DARKNET_NORMALISATION,
        picture=PictureRule(size_hw=(416, 416), resize="stretch"),
        postprocess=DARKNET_POSTPROCESS,
    )


def yolov4_tiny_3l(class_names: Sequence[str]) -> DetectorConfig:
    """YOLOv4-tiny with a third level of stride 8, at 608x608."""
    return DetectorConfig(
        name="yolov4-tiny-3l",
        backbone=CspTinyConfig(strides=(8, 16, 32)),
        neck=TinyYoloNeckConfig(),
        head=HEAD_3L,
        class_names=tuple(class_names),
        normalisation=DARKNET_NORMALISATION,
        picture=PictureRule(size_hw=(608, 608), resize="stretch"),
        postprocess=DARKNET_POSTPROCESS,
    )


def yolov4_tiny_debug(class_names: Sequence[str]) -> DetectorConfig:
    """YOLOv4-tiny with a quarter of the channels at 224x224; for tests and the demonstration."""
    return DetectorConfig(
        name="yolov4-tiny-debug",
        backbone=CspTinyConfig(width=8),
        neck=TinyYoloNeckConfig(width=128),
        head=HEAD,
        class_names=tuple(class_names),
        normalisation=DARKNET_NORMALISATION,
        picture=PictureRule(size_hw=(224, 224), resize="stretch"),
        postprocess=DARKNET_POSTPROCESS,
    )


ENTRIES = (
    ZooEntry(
        name="yolov4-tiny",
        family="yolov4-tiny",
        make=yolov4_tiny,
        published=Published(
            source="darknet cfg: sheet on gradient paths, section 4.7; AP: ScaledYOLOv4, branch yolov4-tiny",
            parameters=6_056_606,
            macs=3_454_000_000,
            macs_step=500_000,
            ap=0.220,
            ap50=0.421,
            note="6.908 G operations, twice the multiply-adds; AP on val2017, 21.7 on test-dev",
        ),
        pretrained=("coco",),
    ),
    ZooEntry(
        name="yolov4-tiny-3l",
        family="yolov4-tiny",
        make=yolov4_tiny_3l,
        published=Published(
            source="darknet cfg/yolov4-tiny-3l.cfg; AP: YOLO-ReT, table 7",
            ap=0.287,
            ap50=0.472,
            note="no counts are published",
        ),
    ),
    ZooEntry(name="yolov4-tiny-debug", family="yolov4-tiny", make=yolov4_tiny_debug),
)
