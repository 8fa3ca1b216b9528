"""Yolo-Fastest 1.1 and its predecessor MobileNetV2-YOLOv3-Nano: linear bottlenecks of few channels, two levels.

https://github.com/dog-qiuqiu/Yolo-Fastest and https://github.com/dog-qiuqiu/MobileNet-Yolo, whose darknet cfg files
these networks are built from, convolution by convolution. Facts, both at 320x320, stretched, RGB 0..1: Yolo-Fastest has
0.35 M numbers, 0.252 G operations, a dropout of 0.15 before every addition and COCO AP50 24.40; Nano is MobileNetV2
x0.5 without rounding and without the last stage, with 0.5 G operations and COCO AP50 30.13. Nano hands on the expansion
of its first block of stride 32 as its map of stride 16.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.models.backbones.linear_bottlenecks import LinearBottlenecksConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.separable_top_down import SeparableTopDownConfig
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.entry import Published, ZooEntry
from sanderling.models.zoo.yolov4_tiny import DARKNET_NORMALISATION, DARKNET_POSTPROCESS
from sanderling.structures.artefact import PictureRule

_FASTEST_ANCHORS = (((12, 18), (37, 49), (52, 132)), ((115, 73), (119, 199), (242, 238)))
_NANO_ANCHORS = (((12, 18), (37, 49), (52, 132)), ((115, 74), (119, 199), (243, 238)))

# Channels inside, channels of the output, stride, blocks.
_FASTEST_ROWS = (
    (8, 4, 1, 2),
    (24, 8, 2, 1),
    (32, 8, 1, 2),
    (32, 8, 2, 1),
    (48, 8, 1, 2),
    (48, 16, 1, 1),
    (96, 16, 1, 4),
    (96, 24, 2, 1),
    (136, 24, 1, 4),
    (136, 48, 2, 1),
    (224, 48, 1, 5),
)
_NANO_ROWS = (
    (16, 8, 1, 1),
    (48, 12, 2, 1),
    (72, 12, 1, 1),
    (72, 16, 2, 1),
    (96, 16, 1, 2),
    (96, 32, 2, 1),
    (192, 32, 1, 3),
    (192, 48, 1, 1),
    (288, 48, 1, 2),
    (288, 80, 2, 1),
    (480, 80, 1, 2),
)


def yolo_fastest(class_names: Sequence[str]) -> DetectorConfig:
    """Yolo-Fastest 1.1 at 320x320."""
    return _fastest("yolo-fastest-1.1", class_names, _FASTEST_ROWS, side=320)


def yolo_fastest_debug(class_names: Sequence[str]) -> DetectorConfig:
    """Yolo-Fastest with one block of a kind, at 224x224; for tests and the demonstration."""
    rows = tuple((inside, out, stride, 1) for inside, out, stride, _ in _FASTEST_ROWS)
    return _fastest("yolo-fastest-debug", class_names, rows, side=224)


def mobilenetv2_yolov3_nano(class_names: Sequence[str]) -> DetectorConfig:
    """MobileNetV2-YOLOv3-Nano at 320x320."""
    return _detector(
        "mobilenetv2-yolov3-nano",
        class_names,
        backbone=LinearBottlenecksConfig(stem=16, rows=_NANO_ROWS, act="relu", tap="expansion"),
        neck=SeparableTopDownConfig(
            coarse_in=288,
            coarse=("depthwise", 96, 384),
            fine=(80, 288, "depthwise", 192, 288),
            kernel=3,
            linear=False,
            act="relu",
        ),
        head=YoloHeadConfig(anchors=_NANO_ANCHORS, scale_xy=(1.05, 1.1)),
        side=320,
    )


def _fastest(
    name: str, class_names: Sequence[str], rows: tuple[tuple[int, int, int, int], ...], *, side: int
) -> DetectorConfig:
    return _detector(
        name,
        class_names,
        backbone=LinearBottlenecksConfig(stem=8, rows=rows, act="leaky_relu", always_expand=True, dropout=0.15),
        neck=SeparableTopDownConfig(
            coarse_in=96,
            coarse=("depthwise", 96, "depthwise", 96),
            fine=("depthwise", 120, "depthwise", 120),
            kernel=5,
            linear=True,
            act="leaky_relu",
        ),
        head=YoloHeadConfig(anchors=_FASTEST_ANCHORS),
        side=side,
    )


def _detector(
    name: str,
    class_names: Sequence[str],
    *,
    backbone: LinearBottlenecksConfig,
    neck: SeparableTopDownConfig,
    head: YoloHeadConfig,
    side: int,
) -> DetectorConfig:
    return DetectorConfig(
        name=name,
        backbone=backbone,
        neck=neck,
        head=head,
        class_names=tuple(class_names),
        normalisation=DARKNET_NORMALISATION,
        picture=PictureRule(size_hw=(side, side), resize="stretch"),
        postprocess=DARKNET_POSTPROCESS,
    )


ENTRIES = (
    ZooEntry(
        name="yolo-fastest-1.1",
        family="yolo-fastest",
        make=yolo_fastest,
        published=Published(
            source="https://github.com/dog-qiuqiu/Yolo-Fastest, README",
            parameters=350_000,
            parameters_step=10_000,
            ap50=0.2440,
            note=(
                "all numbers of the file, BatchNorm's statistics too; the published 0.252 G operations count pools and "
                "additions beside twice the multiply-adds, so that no multiply-adds follow from them"
            ),
        ),
        counts_statistics=True,
        pretrained=("coco",),
    ),
    ZooEntry(
        name="mobilenetv2-yolov3-nano",
        family="yolo-fastest",
        make=mobilenetv2_yolov3_nano,
        published=Published(
            source="https://github.com/dog-qiuqiu/MobileNet-Yolo, README",
            macs=250_000_000,
            macs_step=50_000_000,
            ap50=0.3013,
            note="0.5 G operations, twice the multiply-adds",
        ),
        pretrained=("coco",),
    ),
    ZooEntry(name="yolo-fastest-debug", family="yolo-fastest", make=yolo_fastest_debug),
)
