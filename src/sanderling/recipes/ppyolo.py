"""PP-YOLO, its steps C to K, its light relatives and PP-YOLOv2 as PaddleDetection trained them on COCO.

Configs in configs/ppyolo, release/2.7; sheet on PP-YOLO, sections 3 and 7. Steps A and B are YOLOv3's recipe.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from sanderling.errors import UsageError
from sanderling.models.network import DetectorConfig
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

    @property
    def schedule(self) -> MultiStepSchedule:
        """The steps as shares, so that they hold for any number of epochs."""
        return MultiStepSchedule(milestones=tuple(step / self.epochs for step in self.steps), gamma=0.1)


_ONCE = _Plan(0.01, 192, 405, (243, 324))
_TWICE = _Plan(0.01, 192, 811, (649, 730))
_PHONE = _Plan(0.005, 128, 270, (162, 216))
_V2 = _Plan(0.005, 96, 365, (243,))
_PLANS = {
    "ppyolo-r50vd-dcn": _TWICE,
    "ppyolo-r18vd": _Plan(0.004, 128, 270, (162, 216)),
    "ppyolo-mobilenetv3-large": _PHONE,
    "ppyolo-mobilenetv3-small": _PHONE,
    "ppyolo-tiny": _Plan(0.005, 256, 650, (430, 540, 610)),
    "ppyolov2-r50vd-dcn": _V2,
    "ppyolov2-r101vd-dcn": _V2,
    **{f"ppyolo-step-{letter}": _ONCE for letter in "cdefghij"},
    "ppyolo-step-k": _TWICE,
}
PUBLISHED = tuple(_PLANS)
"""The detectors that this recipe is for."""


def ppyolo_published(model: DetectorConfig, *, batch: int | None = None, epochs: int | None = None) -> Run:
    """SGD with a large batch, 4000 steps of warm-up from nothing, gradients clipped at 35, an average of the weights.

    The authors start from a backbone trained on ImageNet, from step J on a distilled one; give its weights. What a run
    cannot say: another input size for every batch, and mixup, which the MobileNetV3 ones end at epoch 200, tiny at 500
    and the others never.

    Args:
        model: one of `PUBLISHED`.
        batch: pictures of a batch; the learning rate grows with it.
        epochs: of the whole training; the steps keep their shares.

    Raises:
        UsageError: it is another detector.
    """
    if model.name not in _PLANS:
        raise UsageError(
            f"{model.name}: PP-YOLO's recipe is for {', '.join(PUBLISHED)}; choose the recipe of its family"
        )
    plan = _PLANS[model.name]
    batch = batch or plan.batch
    return Run(
        recipe="ppyolo-published",
        model=model,
        task=DetectionTaskConfig(objective=objective_of(model)),
        batch=batch,
        loop=LoopConfig(epochs=epochs or plan.epochs, clip_norm=35.0, mosaic_off=0, validate_every=10),
        optimizer=SgdConfig(lr=plan.lr * batch / plan.batch, momentum=0.9, weight_decay=5e-4, decay_norms=False),
        schedule=plan.schedule,
        warmup=Warmup(steps=4000, ratio=0.0),
        ema=EmaConfig(decay=0.9998, form="fraction"),
        augment=EXPAND_AND_CROP,
        runtime=RuntimeConfig(sync_batchnorm=True),
    )


def twice(run: Run) -> Run:
    """The same run on PP-YOLO's 2x schedule, what step K adds: twice the epochs, and the learning rate falls later.

    1x falls after 60 and 80 % of the epochs, 2x after 80 and 90 %; a cosine is drawn out as it is. The last epochs that
    see whole pictures only stay as many as they are.
    """
    schedule = _TWICE.schedule if isinstance(run.schedule, MultiStepSchedule) else run.schedule
    return dataclasses.replace(run, loop=dataclasses.replace(run.loop, epochs=2 * run.loop.epochs), schedule=schedule)
