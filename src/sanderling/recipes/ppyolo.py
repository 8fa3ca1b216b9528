"""PP-YOLO, its steps C to K, its light relatives and PP-YOLOv2 as PaddleDetection trained them on COCO.

Configs in configs/ppyolo, release/2.7; sheet on PP-YOLO, sections 3 and 7. Steps A and B are YOLOv3's recipe.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from sanderling.data.augment import BatchSizes
from sanderling.data.transforms.blend import MixupConfig
from sanderling.models.network import DetectorConfig
from sanderling.recipes.published import expect_published
from sanderling.recipes.run import Run
from sanderling.recipes.teaching import objective_of
from sanderling.recipes.yolov3 import EXPAND_AND_CROP
from sanderling.training.detection import DetectionTaskConfig
from sanderling.training.ema import EmaConfig
from sanderling.training.loop import LoopConfig
from sanderling.training.optimizer import SgdConfig
from sanderling.training.runtime import RuntimeConfig
from sanderling.training.schedule import MultiStepSchedule, Warmup


class _Plan(NamedTuple):
    lr: float
    batch: int
    epochs: int
    steps: tuple[int, ...]
    """Epochs after which the learning rate falls to a tenth."""
    mixup: int
    """Epochs with mixup."""
    sizes: BatchSizes | None = BatchSizes(smallest=320, largest=608)
    clip_norm: float | None = 35.0

    @property
    def schedule(self) -> MultiStepSchedule:
        """The steps as shares, so that they hold for any number of epochs."""
        return MultiStepSchedule(milestones=tuple(step / self.epochs for step in self.steps), gamma=0.1)


_ONCE = _Plan(0.01, 192, 405, (243, 324), mixup=405)
_TWICE = _Plan(0.01, 192, 811, (649, 730), mixup=811)
_PHONE = _Plan(0.005, 128, 270, (162, 216), mixup=200, sizes=None)
_V2 = _Plan(0.005, 96, 365, (243,), mixup=365, sizes=BatchSizes(smallest=320, largest=768))
_PLANS = {
    "ppyolo-r50vd-dcn": _TWICE,
    "ppyolo-r18vd": _Plan(0.004, 128, 270, (162, 216), mixup=270),
    "ppyolo-mobilenetv3-large": _PHONE,
    "ppyolo-mobilenetv3-small": _PHONE,
    "ppyolo-tiny": _Plan(
        0.005, 256, 650, (430, 540, 610), mixup=500, sizes=BatchSizes(smallest=192, largest=512), clip_norm=None
    ),
    "ppyolov2-r50vd-dcn": _V2,
    "ppyolov2-r101vd-dcn": _V2,
    **{f"ppyolo-step-{letter}": _ONCE for letter in "cdefghij"},
    "ppyolo-step-k": _TWICE,
}
PUBLISHED = tuple(_PLANS)
"""The detectors that this recipe is for."""


def ppyolo_published(model: DetectorConfig, *, batch: int | None = None, epochs: int | None = None) -> Run:
    """SGD with a large batch, 4000 steps of warm-up from nothing, an average of the weights, and mixup.

    Gradients are clipped at 35, but for tiny's. Every batch has another input size; which ones the MobileNetV3 ones had
    is not known here, so that theirs stays as it is. The authors start from a backbone trained on ImageNet, from
    step J on a distilled one; give its weights.

    Args:
        model: one of `PUBLISHED`.
        batch: pictures of a batch; the learning rate grows with it.
        epochs: of the whole training; the steps keep their shares.

    Raises:
        UsageError: it is another detector.
    """
    expect_published(model, PUBLISHED)
    plan = _PLANS[model.name]
    batch = batch or plan.batch
    return Run(
        recipe="ppyolo-published",
        model=model,
        task=DetectionTaskConfig(objective=objective_of(model)),
        batch=batch,
        loop=LoopConfig(epochs=epochs or plan.epochs, clip_norm=plan.clip_norm, mosaic_off=0, validate_every=10),
        optimizer=SgdConfig(lr=plan.lr * batch / plan.batch, momentum=0.9, weight_decay=5e-4, decay_norms=False),
        schedule=plan.schedule,
        warmup=Warmup(steps=4000, ratio=0.0),
        ema=EmaConfig(decay=0.9998, form="fraction"),
        augment=dataclasses.replace(
            EXPAND_AND_CROP, mixup=MixupConfig(until=plan.mixup / plan.epochs), sizes=plan.sizes
        ),
        runtime=RuntimeConfig(sync_batchnorm=True),
    )


def twice(run: Run) -> Run:
    """The same run on PP-YOLO's 2x schedule, what step K adds: twice the epochs, and the learning rate falls later.

    1x falls after 60 and 80 % of the epochs, 2x after 80 and 90 %; a cosine is drawn out as it is. The last epochs that
    see whole pictures only stay as many as they are.
    """
    schedule = _TWICE.schedule if isinstance(run.schedule, MultiStepSchedule) else run.schedule
    return dataclasses.replace(run, loop=dataclasses.replace(run.loop, epochs=2 * run.loop.epochs), schedule=schedule)
