"""PP-YOLO: YOLOv3 improved step by step, A to K, its light relatives and PP-YOLOv2.

https://arxiv.org/abs/2007.12099 and https://arxiv.org/abs/2104.10419; https://github.com/PaddlePaddle/PaddleDetection,
release/2.7, configs/ppyolo (Apache-2.0). Facts: ResNet50vd with deformable convolutions (version 2) in its last stage,
which take no part in the published "FLOPs" (multiply-adds of ordinary convolutions in units of 2**30 at 608x608, 2.38
of them missing); centres that reach 0.025 cells over the border of their cell; a predicted IoU with a share of 0.4
(PP-YOLOv2: 0.5) in the score. Published parameters are in units of 2**20 and hold BatchNorm's statistics; the exact
counts are those of the sheet. Pictures are stretched to the input without regard to their aspect ratio.

The steps D, G, J and K change the training or the suppression, not the network: IoU loss, Matrix NMS, better ImageNet
weights (SSLD), twice the epochs. Suppression is greedy at IoU 0.45 up to F and Matrix NMS, linear, from G on; also in
PP-YOLO on ResNet18vd and PP-YOLOv2. PP-YOLO on MobileNetV3, PP-YOLO tiny and the debug size are greedy.
Deviations: there a pixel is added to the sides of boxes whose overlap is measured, and there is no limit on how many
go into Matrix NMS (here `MOST_LOWERED`); columns and rows run from -1 to 1, as in the paper and in PaddleDetection 0.x,
while weights of 2.x want `neck.coordinates: left`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sanderling.models.backbones.mobilenet_v3 import MobileNetV3Config
from sanderling.models.backbones.resnet import ResNetConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.ppyolo_fpn import PpyoloFpnConfig
from sanderling.models.necks.ppyolo_pan import PpyoloPanConfig
from sanderling.models.necks.ppyolo_tiny_fpn import PpyoloTinyFpnConfig
from sanderling.models.necks.yolov3_fpn import Yolov3FpnConfig
from sanderling.models.network import BackboneConfig, DetectorConfig, NeckConfig
from sanderling.models.zoo.backbones import DARKNET53
from sanderling.models.zoo.entry import Published, ZooEntry
from sanderling.structures.artefact import MatrixNms, PictureRule, PostprocessRule

_GIMAC = 2**30
_DEFORMABLE = 3 * 512 * 512 * 9 * 19 * 19
"""Multiply-adds at 608 of the three convolutions that the published figures leave out."""
_UNIT = "multiply-adds are printed in units of 2**30"
_WITHOUT = f"{_UNIT} and without the three deformable convolutions, which are added here"

_GREEDY = PostprocessRule(score=0.01, iou=0.45)
_MATRIX = PostprocessRule(score=0.01, suppression=MatrixNms(decay="linear"))
_R50VD_DCN = ResNetConfig(depth=50, variant="d", deformable=(32,))
_YOLOV3_NECK, _YOLOV3_HEAD = Yolov3FpnConfig(), YoloHeadConfig()
_DROP_BLOCK = PpyoloFpnConfig(drop_block=True)
_COORD_CONV = dataclasses.replace(_DROP_BLOCK, coordinates="symmetric")
_NECK = dataclasses.replace(_COORD_CONV, pyramid_pool=True)
_IOU_AWARE = YoloHeadConfig(iou_aware=True, iou_power=0.4)
_HEAD = dataclasses.replace(_IOU_AWARE, scale_xy=1.05)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    """One row of the ablation."""

    letter: str
    new: str
    backbone: BackboneConfig = _R50VD_DCN
    neck: NeckConfig = _NECK
    head: YoloHeadConfig = _HEAD
    postprocess: PostprocessRule = _MATRIX
    parameters: int
    macs_printed: float
    """In units of 2**30 at 608x608, without deformable convolutions."""
    ap: float


_STEPS = (
    _Step(
        letter="a",
        new="YOLOv3-DarkNet53",
        backbone=DARKNET53,
        neck=_YOLOV3_NECK,
        head=_YOLOV3_HEAD,
        postprocess=_GREEDY,
        parameters=62_001_757,
        macs_printed=65.52,
        ap=0.389,
    ),
    _Step(
        letter="b",
        new="ResNet50vd-DCN",
        neck=_YOLOV3_NECK,
        head=_YOLOV3_HEAD,
        postprocess=_GREEDY,
        parameters=45_952_942,
        macs_printed=44.71,
        ap=0.391,
    ),
    _Step(
        letter="c",
        new="larger batch, average of the weights, DropBlock",
        neck=_DROP_BLOCK,
        head=_YOLOV3_HEAD,
        postprocess=_GREEDY,
        parameters=45_952_942,
        macs_printed=44.71,
        ap=0.414,
    ),
    _Step(
        letter="d",
        new="IoU loss",
        neck=_DROP_BLOCK,
        head=_YOLOV3_HEAD,
        postprocess=_GREEDY,
        parameters=45_952_942,
        macs_printed=44.71,
        ap=0.419,
    ),
    _Step(
        letter="e",
        new="IoU-aware",
        neck=_DROP_BLOCK,
        head=_IOU_AWARE,
        postprocess=_GREEDY,
        parameters=45_958_327,
        macs_printed=44.71,
        ap=0.425,
    ),
    _Step(
        letter="f",
        new="grid sensitive",
        neck=_DROP_BLOCK,
        postprocess=_GREEDY,
        parameters=45_958_327,
        macs_printed=44.71,
        ap=0.428,
    ),
    _Step(letter="g", new="Matrix NMS", neck=_DROP_BLOCK, parameters=45_958_327, macs_printed=44.71, ap=0.435),
    _Step(letter="h", new="CoordConv", neck=_COORD_CONV, parameters=45_995_959, macs_printed=44.76, ap=0.440),
    _Step(letter="i", new="SPP", parameters=47_045_559, macs_printed=45.12, ap=0.443),
    _Step(letter="j", new="better ImageNet weights", parameters=47_045_559, macs_printed=45.12, ap=0.448),
    _Step(letter="k", new="twice the epochs", parameters=47_045_559, macs_printed=45.12, ap=0.453),
)


def ppyolo_step(step: _Step, class_names: Sequence[str]) -> DetectorConfig:
    """A step of the ablation at 608x608."""
    return DetectorConfig(
        name=f"ppyolo-step-{step.letter}",
        backbone=step.backbone,
        neck=step.neck,
        head=step.head,
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(608, 608), resize="stretch"),
        postprocess=step.postprocess,
    )


def ppyolo_r50vd_dcn(class_names: Sequence[str]) -> DetectorConfig:
    """PP-YOLO as published, step K."""
    return dataclasses.replace(ppyolo_step(_STEPS[-1], class_names), name="ppyolo-r50vd-dcn")


def ppyolo_r18vd(class_names: Sequence[str]) -> DetectorConfig:
    """Two levels, short blocks, of the switches DropBlock and the grid's."""
    return DetectorConfig(
        name="ppyolo-r18vd",
        backbone=ResNetConfig(depth=18, variant="d", project_first=True, strides=(16, 32)),
        neck=PpyoloFpnConfig(channels=256, transition=256, pairs=0, drop_block=True),
        head=YoloHeadConfig(
            anchors=(((10, 14), (23, 27), (37, 58)), ((81, 82), (135, 169), (344, 319))), scale_xy=1.05
        ),
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(512, 512), resize="stretch"),
        postprocess=_MATRIX,
    )


def ppyolo_mobilenetv3_large(class_names: Sequence[str]) -> DetectorConfig:
    """For phones: two levels of MobileNetV3-large."""
    return _mobile("ppyolo-mobilenetv3-large", "large", class_names)


def ppyolo_mobilenetv3_small(class_names: Sequence[str]) -> DetectorConfig:
    """For phones: two levels of MobileNetV3-small."""
    return _mobile("ppyolo-mobilenetv3-small", "small", class_names)


def ppyolo_tiny(class_names: Sequence[str]) -> DetectorConfig:
    """Half of MobileNetV3-large and a depthwise neck; neither coordinates nor a predicted IoU."""
    return DetectorConfig(
        name="ppyolo-tiny",
        backbone=MobileNetV3Config(size="large", width=0.5, form="paddle"),
        neck=PpyoloTinyFpnConfig(),
        head=YoloHeadConfig(
            anchors=(
                ((10, 15), (24, 36), (72, 42)),
                ((35, 87), (102, 96), (60, 170)),
                ((220, 125), (128, 222), (264, 266)),
            ),
            scale_xy=1.05,
        ),
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(320, 320), resize="stretch"),
        postprocess=PostprocessRule(score=0.005, iou=0.45),
    )


def ppyolov2_r50vd_dcn(class_names: Sequence[str]) -> DetectorConfig:
    """PP-YOLOv2 at 640x640."""
    return _v2("ppyolov2-r50vd-dcn", _R50VD_DCN, class_names)


def ppyolov2_r101vd_dcn(class_names: Sequence[str]) -> DetectorConfig:
    """PP-YOLOv2 with the deeper backbone."""
    return _v2("ppyolov2-r101vd-dcn", dataclasses.replace(_R50VD_DCN, depth=101), class_names)


def ppyolo_debug(class_names: Sequence[str]) -> DetectorConfig:
    """PP-YOLO with all its switches, narrow and on ResNet18vd, which trains in seconds."""
    return DetectorConfig(
        name="ppyolo-debug",
        backbone=ResNetConfig(depth=18, variant="d", width=8, project_first=True, deformable=(32,)),
        neck=dataclasses.replace(_NECK, channels=40, transition=20),
        head=_HEAD,
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(224, 224), resize="stretch"),
        postprocess=_GREEDY,
    )


def _mobile(name: str, size: Literal["large", "small"], class_names: Sequence[str]) -> DetectorConfig:
    return DetectorConfig(
        name=name,
        backbone=MobileNetV3Config(size=size, form="paddle", strides=(16, 32)),
        neck=dataclasses.replace(_NECK, channels=256, pairs=0),
        head=YoloHeadConfig(
            anchors=(((11, 18), (34, 47), (51, 126)), ((115, 71), (120, 195), (254, 235))), scale_xy=1.05
        ),
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(320, 320), resize="stretch"),
        postprocess=PostprocessRule(score=0.005, iou=0.45),
    )


def _v2(name: str, backbone: ResNetConfig, class_names: Sequence[str]) -> DetectorConfig:
    return DetectorConfig(
        name=name,
        backbone=backbone,
        neck=PpyoloPanConfig(),
        head=dataclasses.replace(_HEAD, iou_power=0.5),
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(640, 640), resize="stretch"),
        postprocess=_MATRIX,
    )


def _step_entry(step: _Step) -> ZooEntry:
    first = step.letter == "a"
    notes = [f"step {step.letter.upper()}: {step.new}", _UNIT if first else _WITHOUT]
    if first:
        notes.append("parameters: the numbers in darknet's yolov3.weights, statistics among them")
    return ZooEntry(
        name=f"ppyolo-step-{step.letter}",
        family="ppyolo",
        make=functools.partial(ppyolo_step, step),
        published=Published(
            parameters=step.parameters,
            macs=step.macs_printed * _GIMAC + (0 if first else _DEFORMABLE),
            macs_step=0.01 * _GIMAC,
            ap=step.ap,
            source="PaddleDetection configs/ppyolo, appendix; counts: sheet on PP-YOLO, section 2.5",
            note="; ".join(notes),
        ),
        counts_statistics=first,
    )


ENTRIES = (
    dataclasses.replace(_step_entry(_STEPS[-1]), name="ppyolo-r50vd-dcn", make=ppyolo_r50vd_dcn),
    ZooEntry(
        name="ppyolo-r18vd",
        family="ppyolo",
        make=ppyolo_r18vd,
        published=Published(ap=0.292, source="PaddleDetection configs/ppyolo", note="no count is published"),
    ),
    ZooEntry(
        name="ppyolo-mobilenetv3-large",
        family="ppyolo",
        make=ppyolo_mobilenetv3_large,
        published=Published(
            ap=0.232,
            ap50=0.426,
            source="PaddleDetection configs/ppyolo",
            note="no count is published; the checkpoint has 28 MB",
        ),
    ),
    ZooEntry(
        name="ppyolo-mobilenetv3-small",
        family="ppyolo",
        make=ppyolo_mobilenetv3_small,
        published=Published(
            ap=0.172,
            ap50=0.338,
            source="PaddleDetection configs/ppyolo",
            note="no count is published; the checkpoint has 16 MB",
        ),
    ),
    ZooEntry(
        name="ppyolo-tiny",
        family="ppyolo",
        make=ppyolo_tiny,
        published=Published(
            parameters=1_086_147,
            macs=0.29e9,
            macs_step=0.005e9,
            ap=0.206,
            source="PaddleDetection configs/ppyolo and configs/picodet; counts: sheet on PP-YOLO, section 2.5",
            note="multiply-adds are printed twice, as 0.58 G",
        ),
    ),
    ZooEntry(
        name="ppyolov2-r50vd-dcn",
        family="ppyolo",
        make=ppyolov2_r50vd_dcn,
        published=Published(
            parameters=54_579_383,
            ap=0.491,
            source="PaddleDetection configs/ppyolo; counts: sheet on PP-YOLO, section 2.5",
            note="no multiply-adds are published",
        ),
    ),
    ZooEntry(
        name="ppyolov2-r101vd-dcn",
        family="ppyolo",
        make=ppyolov2_r101vd_dcn,
        published=Published(
            parameters=73_571_511,
            ap=0.497,
            source="PaddleDetection configs/ppyolo; counts: sheet on PP-YOLO, section 2.5",
            note="no multiply-adds are published",
        ),
    ),
    *(_step_entry(step) for step in _STEPS),
    ZooEntry(name="ppyolo-debug", family="ppyolo", make=ppyolo_debug),
)
