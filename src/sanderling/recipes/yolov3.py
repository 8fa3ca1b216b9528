"""YOLOv3 as PaddleDetection trained it on COCO (configs/yolov3, `optimizer_270e`; sheet on compression, section 4)."""

from __future__ import annotations

import dataclasses

from sanderling.data.augment import AugmentConfig, BatchSizes
from sanderling.data.transforms.blend import MixupConfig
from sanderling.data.transforms.crop import CropConfig
from sanderling.data.transforms.expand import ExpandConfig
from sanderling.models.network import DetectorConfig
from sanderling.recipes.published import expect_published
from sanderling.recipes.run import Run
from sanderling.recipes.teaching import objective_of
from sanderling.training.detection import DetectionTaskConfig
from sanderling.training.loop import LoopConfig
from sanderling.training.optimizer import SgdConfig
from sanderling.training.runtime import RuntimeConfig
from sanderling.training.schedule import MultiStepSchedule, Warmup

PUBLISHED = (
    "ppyolo-step-a",
    "ppyolo-step-b",
    "yolov3-darknet53",
    "yolov3-mobilenetv1",
    "yolov3-mobilenetv3",
    "yolov3-resnet34",
    "yolov3-resnet50vd-dcn",
)
"""The detectors that this recipe is for; PP-YOLO's ablation starts from YOLOv3."""

_LR, _LR_BATCH = 0.001, 64

EXPAND_AND_CROP = AugmentConfig(
    scale=(1.0, 1.0),
    translate=0.0,
    expand=ExpandConfig(),
    crop=CropConfig(),
    contrast=(0.5, 1.5),
    saturation=(0.5, 1.5),
    hue=18 / 255,
    detail=1 / 0.3,
)
"""PaddleDetection's for YOLOv3 and PP-YOLO, without mixup and the sizes of batches. Pictures are decoded finely enough
for the smallest crop. Colours change as here by default: the factor of 0.5 to 1.5 on all values is its brightness; in
place of its contrast, about the picture's mean grey, up to a fifth of white is added. Each change happens to every
other picture, as there, but in one order (there in any)."""


def yolov3_published(model: DetectorConfig, *, batch: int = 64, epochs: int = 270) -> Run:
    """SGD, learning rate 0.001 at batch 64, 270 epochs with steps at 216 and 243, 4000 steps of warm-up from nothing.

    Mixup in the first 250 epochs, another input size of 320 to 608 for every batch. The authors start from a backbone
    trained on ImageNet; give its weights. What a run cannot say: no weight decay in MobileNetV1's convolutions.

    Args:
        model: one of `PUBLISHED`.
        batch: pictures of a batch; the learning rate grows with it.
        epochs: of the whole training; the steps keep their shares.

    Raises:
        UsageError: it is another detector.
    """
    expect_published(model, PUBLISHED)
    return Run(
        recipe="yolov3-published",
        model=model,
        task=DetectionTaskConfig(objective=objective_of(model)),
        batch=batch,
        loop=LoopConfig(epochs=epochs, mosaic_off=0, validate_every=10),
        optimizer=SgdConfig(lr=_LR * batch / _LR_BATCH, momentum=0.9, weight_decay=5e-4, decay_norms=False),
        schedule=MultiStepSchedule(milestones=(216 / 270, 243 / 270), gamma=0.1),
        warmup=Warmup(steps=4000, ratio=0.0),
        augment=dataclasses.replace(EXPAND_AND_CROP, mixup=MixupConfig(until=250 / 270), sizes=BatchSizes()),
        runtime=RuntimeConfig(sync_batchnorm=True),
    )
