"""YOLOv7-tiny: aggregations of two 3x3 in backbone and neck, LeakyReLU 0.1, a head with implicit knowledge.

YOLOv7, https://arxiv.org/abs/2207.02696; sheet on gradient paths, section 4.8. Facts: 58 convolutions;
6,227,101 parameters without the implicit ones (the paper's 6.2 M), which fold into the last convolutions; 13.70 G
operations at 640x640, twice the multiply-adds. Letterboxed on grey 114, RGB 0..1.

Otherwise than published: BatchNorm's momentum is 0.1 (there 0.03, with which statistics lag in a short training), and
the head starts with the logit of 0.01 for objectness and 0 for classes (there both follow stride and class count).

Maps are joined in the order of the authors' PyTorch network. Their darknet form joins some of them the other way round
and has no implicit knowledge: its weights are those of another network and are refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.models.backbones.yolov7_tiny import Yolov7TinyConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.yolov7_tiny_pan import Yolov7TinyPanConfig
from sanderling.models.network import DetectorConfig, Normalisation
from sanderling.models.zoo.entry import Published, ZooEntry
from sanderling.structures.artefact import PictureRule, PostprocessRule


def yolov7_tiny(class_names: Sequence[str]) -> DetectorConfig:
    """YOLOv7-tiny at 640x640."""
    return _detector("yolov7-tiny", class_names, width=32, side=640)


def yolov7_tiny_debug(class_names: Sequence[str]) -> DetectorConfig:
    """YOLOv7-tiny with a quarter of the channels at 224x224; for tests and the demonstration."""
    return _detector("yolov7-tiny-debug", class_names, width=8, side=224)


def _detector(name: str, class_names: Sequence[str], *, width: int, side: int) -> DetectorConfig:
    return DetectorConfig(
        name=name,
        backbone=Yolov7TinyConfig(width=width),
        neck=Yolov7TinyPanConfig(width=2 * width),
        head=YoloHeadConfig(scale_xy=2.0, size="sigmoid_squared", implicit=True),
        class_names=tuple(class_names),
        normalisation=Normalisation(mean=(0, 0, 0), std=(255, 255, 255)),
        picture=PictureRule(size_hw=(side, side), resize="letterbox", pad_value=114),
        postprocess=PostprocessRule(score=0.001, iou=0.65, max_detections=300),
    )


ENTRIES = (
    ZooEntry(
        name="yolov7-tiny",
        family="yolov7-tiny",
        make=yolov7_tiny,
        published=Published(
            source="counts: sheet on gradient paths, section 4.8; AP: sheet on compression, section 10",
            parameters=6_227_101,
            macs=6_850_000_000,
            macs_step=5_000_000,
            ap=0.372,
            note="13.70 G operations, twice the multiply-adds; implicit parameters are not counted",
        ),
        uncounted_parameters=("head.implicit_",),
    ),
    ZooEntry(name="yolov7-tiny-debug", family="yolov7-tiny", make=yolov7_tiny_debug),
)
