"""Which objective teaches which detector: its own or its family's, else the one that fits its head.

The family is that of the name, and of a detector of one's own that of the neck: a neck is written for one family. Only
what a family's authors do by size (`_BY_NAME`) hangs on the name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from sanderling.models import zoo
from sanderling.models.backbones.csp_tiny import CspTinyConfig
from sanderling.models.heads.distribution import DistributionHeadConfig
from sanderling.models.heads.fcos import FcosHeadConfig
from sanderling.models.heads.ssd import SsdHeadConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.ppyolo_fpn import PpyoloFpnConfig
from sanderling.models.necks.ppyolo_pan import PpyoloPanConfig
from sanderling.models.necks.ppyolo_tiny_fpn import PpyoloTinyFpnConfig
from sanderling.models.necks.separable_top_down import SeparableTopDownConfig
from sanderling.models.necks.tiny_prn import TinyPrnConfig
from sanderling.models.necks.tiny_yolo import TinyYoloNeckConfig
from sanderling.models.necks.yolor_fpn import YolorFpnConfig
from sanderling.models.necks.yolor_pan import YolorPanConfig
from sanderling.models.necks.yoloret import YoloretNeckConfig
from sanderling.models.necks.yolov7_tiny_pan import Yolov7TinyPanConfig
from sanderling.models.network import DetectorConfig, NeckRowConfig
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

_FAMILY_OF_NECK: Mapping[type, str] = {
    PpyoloFpnConfig: "ppyolo",
    PpyoloPanConfig: "ppyolo",
    PpyoloTinyFpnConfig: "ppyolo",
    SeparableTopDownConfig: "yolo-fastest",
    TinyPrnConfig: "yolov3-tiny",
    YoloretNeckConfig: "yoloret",
    YolorFpnConfig: "yolor",
    YolorPanConfig: "yolor",
    Yolov7TinyPanConfig: "yolov7-tiny",
}
"""Whose neck it is, in front of a YOLO head."""

_BY_HEAD: Mapping[type, ObjectiveConfig] = {
    DistributionHeadConfig: DistributionObjectiveConfig(),
    FcosHeadConfig: FcosObjectiveConfig(),
    SsdHeadConfig: SsdObjectiveConfig(),
    YoloHeadConfig: YoloObjectiveConfig.paddle(),
}


def objective_of(model: DetectorConfig) -> ObjectiveConfig:
    """The objective that a detector is taught with unless a run says otherwise.

    A detector of the zoo, by its name and while it has the head of that name, is taught as its authors do. Any other is
    taught as the family of its neck, and a guided distribution head as NanoDet-Plus. Where that says nothing, the head
    decides: a YOLO head behind a neck of no family (`fpn`, `yolov3_fpn`, ...) learns as PaddleDetection's YOLOv3.

    >>> from sanderling.models import zoo
    >>> objective_of(zoo.config("nanodet-m")).kind
    'distribution'
    """
    by_head = _BY_HEAD[type(model.head)]
    if model.name in zoo.names() and type(zoo.config(model.name).head) is type(model.head):
        return _BY_NAME.get(model.name) or _BY_FAMILY.get(zoo.entry(model.name).family) or by_head
    return _BY_FAMILY.get(_family(model)) or by_head


def _family(model: DetectorConfig) -> str:
    """Whose structure a detector has; empty where it is nobody's."""
    if isinstance(model.head, DistributionHeadConfig):
        return "nanodet-plus" if model.auxiliary is not None else ""
    if not isinstance(model.head, YoloHeadConfig):
        return ""
    neck = model.neck.then if isinstance(model.neck, NeckRowConfig) else model.neck
    if isinstance(neck, TinyYoloNeckConfig):
        return "yolov4-tiny" if isinstance(model.backbone, CspTinyConfig) else "yolov3-tiny"
    return _FAMILY_OF_NECK.get(type(neck), "")
