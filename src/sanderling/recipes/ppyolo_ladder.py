"""The first step of PP-YOLO's ablation at a size that a processor trains in minutes; the further steps are switches.

https://arxiv.org/abs/2007.12099; sheet on PP-YOLO, sections 2, 4, 5 and 7. Structure and objective are those of step A,
YOLOv3 on a DarkNet with three levels and COCO's anchors in pixels of the input; every width is an eighth, the DarkNet
has half of its blocks, the input is 256x256. What the article does with days of COCO is replaced by the recipe for
small data, AdamW along a cosine: without its average of the weights, which is part of step C, and without mosaic, which
PP-YOLO does not use. A batch of 8 leaves room for the three times larger one of step C (there from 64 to 192).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sanderling.models.backbones.csp_darknet import CspDarknetConfig
from sanderling.models.backbones.resnet import ResNetConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.ppyolo_fpn import PpyoloFpnConfig
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.coco_classes import COCO_CLASSES
from sanderling.objectives.yolo import YoloObjectiveConfig
from sanderling.recipes.fine_tune import fine_tune
from sanderling.recipes.run import Run
from sanderling.recipes.yolov3 import EXPAND_AND_CROP
from sanderling.structures.artefact import PictureRule, PostprocessRule
from sanderling.training.detection import DetectionTaskConfig

NAME = "ppyolo-small"

_DARKNET = CspDarknetConfig(
    stem=4, channels=(8, 16, 32, 64, 128), repeats=(1, 2, 4, 4, 2), stages="residual", act="leaky_relu", eps=1e-5
)
_NECK = PpyoloFpnConfig(channels=64, transition=32)


def resnet_dcn(width: int) -> ResNetConfig:
    """What step B puts in the place of the DarkNet: variant d, the last stage deformable; the 18 layers stand for 50.

    >>> resnet_dcn(64).deformable
    (32,)
    """
    return ResNetConfig(depth=18, variant="d", width=width, project_first=True, deformable=(32,))


def ppyolo_small(class_names: Sequence[str]) -> DetectorConfig:
    """Step A: PP-YOLO's neck with all switches off is YOLOv3's."""
    return DetectorConfig(
        name=NAME,
        backbone=_DARKNET,
        neck=_NECK,
        head=YoloHeadConfig(),
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(256, 256), resize="stretch"),
        postprocess=PostprocessRule(score=0.01, iou=0.45),
    )


def ppyolo_ladder(*, batch: int = 8, epochs: int = 30) -> Run:
    """Step A of PP-YOLO's table at a size for a processor; `ablate --ladder ppyolo` adds the others.

    Args:
        batch: pictures of a batch; the learning rate grows with its square root.
        epochs: of the whole training.

    >>> ppyolo_ladder().ema is None
    True
    """
    run = fine_tune(ppyolo_small(COCO_CLASSES), batch=batch, epochs=epochs)
    return dataclasses.replace(
        run,
        recipe="ppyolo-ladder",
        task=DetectionTaskConfig(objective=YoloObjectiveConfig.paddle()),
        loop=dataclasses.replace(run.loop, mosaic_off=0),
        ema=None,
        augment=EXPAND_AND_CROP,
    )
