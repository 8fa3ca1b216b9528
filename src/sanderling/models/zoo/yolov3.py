"""YOLOv3 as PaddleDetection publishes it: one neck and one head behind five backbones.

https://arxiv.org/abs/1804.02767; https://github.com/PaddlePaddle/PaddleDetection, release/2.7, configs/yolov3
(Apache-2.0). Facts: three levels of strides 32, 16 and 8 with three anchors each, COCO's, in pixels of the input
whatever its size; five convolutions a level and a route to the next finer one; MobileNetV1's finer maps are those right
behind the first block of their stages. Trained in 270 epochs with mixup, differences (L1) for w and h, synchronised
BatchNorm and inputs of 320 to 608. Pictures are stretched to 608x608 without regard to their aspect ratio. COCO val2017
AP at 608, 416 and 320: MobileNetV1 29.4, 29.3, 27.2; MobileNetV3 31.4, 29.6, 27.1; ResNet34 36.2, 34.3, 31.2; DarkNet53
39.1, 37.7, 34.8; ResNet50vd-DCN 40.6, 38.2, 35.1.

Otherwise than published: pictures are resized bilinearly, there bicubically where they are evaluated; NMS looks at all
boxes that score 0.01, there at the 1,000 best. (That NMS counts sides one pixel longer holds for 0.x only.)

Weights: no entry says `pretrained`. The keys of PaddleDetection's files are known for MobileNetV1 and the ResNets and
were never tried on a published file; those of MobileNetV3 are not known. darknet's own `yolov3.weights` fit DarkNet53,
but were trained on pixels of 0..1 in letterboxed pictures, which is another picture rule than this entry's.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.models.backbones.mobilenet_v1 import MobileNetV1Config
from sanderling.models.backbones.mobilenet_v3 import MobileNetV3Config
from sanderling.models.backbones.resnet import ResNetConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.yolov3_fpn import Yolov3FpnConfig
from sanderling.models.network import BackboneConfig, DetectorConfig
from sanderling.models.zoo.backbones import DARKNET53
from sanderling.models.zoo.entry import Published, ZooEntry
from sanderling.structures.artefact import PictureRule, PostprocessRule

_GIMAC = 2**30
_SOURCE = "PaddleDetection configs/yolov3; counts: sheet on compression, section 2.3"
_UNIT = "multiply-adds are printed in units of 2**30"


def yolov3_darknet53(class_names: Sequence[str]) -> DetectorConfig:
    """The original backbone."""
    return _yolov3("yolov3-darknet53", DARKNET53, class_names)


def yolov3_mobilenetv1(class_names: Sequence[str]) -> DetectorConfig:
    """The light one of the power-line case, which is pruned, quantised and distilled."""
    return _yolov3("yolov3-mobilenetv1", MobileNetV1Config(), class_names)


def yolov3_resnet34(class_names: Sequence[str]) -> DetectorConfig:
    """Its teacher."""
    return _yolov3("yolov3-resnet34", ResNetConfig(depth=34, variant="b", project_first=True), class_names)


def yolov3_mobilenetv3(class_names: Sequence[str]) -> DetectorConfig:
    """MobileNetV3-large, its maps of 40, 112 and 160 channels."""
    return _yolov3("yolov3-mobilenetv3", MobileNetV3Config(size="large", form="paddle"), class_names)


def yolov3_resnet50vd_dcn(class_names: Sequence[str]) -> DetectorConfig:
    """ResNet50, variant d, with deformable convolutions in its last stage: what PP-YOLO started from."""
    return _yolov3("yolov3-resnet50vd-dcn", ResNetConfig(depth=50, variant="d", deformable=(32,)), class_names)


def yolov3_debug(class_names: Sequence[str]) -> DetectorConfig:
    """The structure of YOLOv3-MobileNetV1 at a size that trains in seconds; for tests and the demonstration."""
    return DetectorConfig(
        name="yolov3-debug",
        backbone=MobileNetV1Config(width=0.1875),
        neck=Yolov3FpnConfig(channels=(16, 24, 32)),
        head=YoloHeadConfig(),
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(224, 224), resize="stretch"),
        postprocess=PostprocessRule(score=0.01, iou=0.45),
    )


def _yolov3(name: str, backbone: BackboneConfig, class_names: Sequence[str]) -> DetectorConfig:
    return DetectorConfig(
        name=name,
        backbone=backbone,
        neck=Yolov3FpnConfig(channels=(128, 256, 512)),
        head=YoloHeadConfig(),
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(608, 608), resize="stretch"),
        postprocess=PostprocessRule(score=0.01, iou=0.45),
    )


ENTRIES = (
    ZooEntry(
        name="yolov3-darknet53",
        family="yolov3",
        make=yolov3_darknet53,
        published=Published(
            parameters=62_001_757,
            macs=65.52 * _GIMAC,
            macs_step=0.01 * _GIMAC,
            ap=0.391,
            source="PaddleDetection configs/yolov3 and configs/ppyolo, row A; darknet's yolov3.weights",
            note=f"parameters: the numbers in yolov3.weights, 248,007,048 bytes with a header of 20, statistics of "
            f"BatchNorm among them (PaddleDetection prints them as 59.13 in units of 2**20); {_UNIT}",
        ),
        counts_statistics=True,
    ),
    ZooEntry(
        name="yolov3-mobilenetv1",
        family="yolov3",
        make=yolov3_mobilenetv1,
        published=Published(
            parameters=24_571_197,
            macs=20.64 * _GIMAC,
            macs_step=0.01 * _GIMAC,
            ap=0.294,
            source=_SOURCE,
            note=_UNIT,
        ),
    ),
    ZooEntry(
        name="yolov3-mobilenetv3",
        family="yolov3",
        make=yolov3_mobilenetv3,
        published=Published(
            ap=0.314,
            source="PaddleDetection configs/yolov3",
            note="no count is published; the file has 90.3 MB",
        ),
    ),
    ZooEntry(
        name="yolov3-resnet34",
        family="yolov3",
        make=yolov3_resnet34,
        published=Published(
            parameters=42_309_053,
            macs=41.70 * _GIMAC,
            macs_step=0.01 * _GIMAC,
            ap=0.362,
            source=_SOURCE,
            note=_UNIT,
        ),
    ),
    ZooEntry(
        name="yolov3-resnet50vd-dcn",
        family="yolov3",
        make=yolov3_resnet50vd_dcn,
        published=Published(
            parameters=45_952_942,
            macs=47.09 * _GIMAC,
            macs_step=0.01 * _GIMAC,
            ap=0.406,
            source="PaddleDetection configs/yolov3; counts: sheet on PP-YOLO, section 2.5, row B",
            note=f"{_UNIT} and without the three deformable convolutions, 44.71; with them 47.09. AP 39.1 in 0.x",
        ),
    ),
    ZooEntry(name="yolov3-debug", family="yolov3", make=yolov3_debug),
)
