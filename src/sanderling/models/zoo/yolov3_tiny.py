"""YOLOv3-tiny, and YOLOv3-tiny-PRN, which replaces its wide end and its joint by partial residual connections.

YOLOv3, https://arxiv.org/abs/1804.02767; PRN, ICCV workshops 2019, and the cfg files of
https://github.com/WongKinYiu/PartialResidualNetworks. Facts: 13 convolutions each, LeakyReLU 0.1; 8,852,366 and
4,935,182 parameters, published as 8.86 M and 4.95 M; 5.565 G and 3.461 G operations at 416x416, twice the
multiply-adds, published as 5.571 G and 3.467 G; COCO AP50 33.1 for both. Pictures are stretched to the input, RGB 0..1.

Of the six anchors the level of stride 16 has those of the mask 1, 2, 3, with which the published weights were trained
(darknet's later cfg says 0, 1, 2, which does not suit them), as in YOLOv4-tiny: see there.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.models.backbones.tiny_darknet import TinyDarknetConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.tiny_prn import TinyPrnConfig
from sanderling.models.necks.tiny_yolo import TinyYoloNeckConfig
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.entry import Published, ZooEntry
from sanderling.models.zoo.yolov4_tiny import DARKNET_NORMALISATION, DARKNET_POSTPROCESS, TINY_ANCHORS
from sanderling.structures.artefact import PictureRule

_SOURCE = "PRN, ICCV workshops 2019, table 3; counts: sheet on gradient paths, section 4.7"
_NOTE = (
    "counted from the cfg file; the paper prints {parameters} M parameters and {operations} G operations (twice the "
    "multiply-adds), both with more than convolutions in them; AP50 on test-dev"
)


def yolov3_tiny(class_names: Sequence[str]) -> DetectorConfig:
    """YOLOv3-tiny at 416x416."""
    return DetectorConfig(
        name="yolov3-tiny",
        backbone=TinyDarknetConfig(),
        neck=TinyYoloNeckConfig(),
        head=YoloHeadConfig(anchors=TINY_ANCHORS),
        class_names=tuple(class_names),
        normalisation=DARKNET_NORMALISATION,
        picture=PictureRule(size_hw=(416, 416), resize="stretch"),
        postprocess=DARKNET_POSTPROCESS,
    )


def yolov3_tiny_prn(class_names: Sequence[str]) -> DetectorConfig:
    """YOLOv3-tiny-PRN at 416x416."""
    return _prn("yolov3-tiny-prn", class_names, width=16, side=416)


def yolov3_tiny_prn_debug(class_names: Sequence[str]) -> DetectorConfig:
    """YOLOv3-tiny-PRN with a quarter of the channels at 224x224; for tests and the demonstration."""
    return _prn("yolov3-tiny-prn-debug", class_names, width=4, side=224)


def _prn(name: str, class_names: Sequence[str], *, width: int, side: int) -> DetectorConfig:
    return DetectorConfig(
        name=name,
        backbone=TinyDarknetConfig(width=width, residual=True),
        neck=TinyPrnConfig(width=16 * width),
        head=YoloHeadConfig(anchors=TINY_ANCHORS),
        class_names=tuple(class_names),
        normalisation=DARKNET_NORMALISATION,
        picture=PictureRule(size_hw=(side, side), resize="stretch"),
        postprocess=DARKNET_POSTPROCESS,
    )


ENTRIES = (
    ZooEntry(
        name="yolov3-tiny",
        family="yolov3-tiny",
        make=yolov3_tiny,
        published=Published(
            source=_SOURCE,
            parameters=8_852_366,
            macs=2_782_500_000,
            macs_step=500_000,
            ap50=0.331,
            note=_NOTE.format(parameters="8.86", operations="5.571"),
        ),
        pretrained=("coco",),
    ),
    ZooEntry(
        name="yolov3-tiny-prn",
        family="yolov3-tiny",
        make=yolov3_tiny_prn,
        published=Published(
            source=_SOURCE,
            parameters=4_935_182,
            macs=1_730_500_000,
            macs_step=500_000,
            ap50=0.331,
            note=_NOTE.format(parameters="4.95", operations="3.467"),
        ),
        pretrained=("coco",),
    ),
    ZooEntry(name="yolov3-tiny-prn-debug", family="yolov3-tiny", make=yolov3_tiny_prn_debug),
)
