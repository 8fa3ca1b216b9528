"""Which objective teaches which detector: its own or its family's, else the one that fits its head."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sanderling.models import zoo
from sanderling.models.heads.distribution import DistributionHeadConfig
from sanderling.models.heads.fcos import FcosHeadConfig
from sanderling.models.heads.ssd import SsdHeadConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.network import DetectorConfig
from sanderling.objectives.anchor_ratio import YOLOR, YOLOV7_TINY
from sanderling.objectives.distribution import DistributionObjectiveConfig
from sanderling.objectives.dynamic_distribution import DynamicDistributionObjectiveConfig
from sanderling.objectives.fcos import FcosObjectiveConfig
from sanderling.objectives.ssd import SsdObjectiveConfig
from sanderling.objectives.yolo import YoloObjectiveConfig
from sanderling.training.detection import ObjectiveConfig

_BY_FAMILY: Mapping[str, ObjectiveConfig] = {
    "nanodet-plus": DynamicDistributionObjectiveConfig(),
    "ppyolo": YoloObjectiveConfig.ppyolo(),
    "yolo-fastest": dataclasses.replace(YoloObjectiveConfig.yolov4(ignore_iou=0.5), match_iou=0.213),
    "yolor": YOLOR,
    "yoloret": YoloObjectiveConfig.yoloret(),
    "yolov3-tiny": YoloObjectiveConfig.darknet(),
    "yolov4-tiny": YoloObjectiveConfig.yolov4(),
    "yolov7-tiny": YOLOV7_TINY,
}
"""Families whose authors teach them in another way than is usual for their head."""

_BY_NAME: Mapping[str, ObjectiveConfig] = {
    "ppyolo-mobilenetv3-large": YoloObjectiveConfig.ppyolo(ignore_iou=0.5, match_iou=0.25),
    "ppyolo-mobilenetv3-small": YoloObjectiveConfig.ppyolo(ignore_iou=0.5, match_iou=0.25),
    # The ablation: YOLOv3's objective, then the IoU loss (d), then grid sensitive (f), which changes the centre's.
    **dict.fromkeys(("ppyolo-step-a", "ppyolo-step-b", "ppyolo-step-c"), YoloObjectiveConfig.paddle()),
    **dict.fromkeys(
        ("ppyolo-step-d", "ppyolo-step-e"), dataclasses.replace(YoloObjectiveConfig.ppyolo(), centre="bce")
    ),
    "ppyolo-tiny": YoloObjectiveConfig.ppyolo(ignore_iou=0.5),
}
"""Detectors that their authors teach in another way than the rest of the family."""

_BY_HEAD: Mapping[type, ObjectiveConfig] = {
    DistributionHeadConfig: DistributionObjectiveConfig(),
    FcosHeadConfig: FcosObjectiveConfig(),
    SsdHeadConfig: SsdObjectiveConfig(),
    YoloHeadConfig: YoloObjectiveConfig.paddle(),
}


def objective_of(model: DetectorConfig) -> ObjectiveConfig:
    """The objective that a detector is taught with unless a run says otherwise.

    With another head than that of its name a detector is taught by its head.

    >>> from sanderling.models import zoo
    >>> objective_of(zoo.config("nanodet-m")).kind
    'distribution'
    """
    by_head = _BY_HEAD[type(model.head)]
    if model.name not in zoo.names() or type(zoo.config(model.name).head) is not type(model.head):
        return by_head
    return _BY_NAME.get(model.name) or _BY_FAMILY.get(zoo.entry(model.name).family) or by_head
