"""YOLO-ReT as its authors trained it: two runs, the first with the backbone as ImageNet left it.

https://arxiv.org/abs/2110.13713, section 4.1, and the code; sheet on YOLO-ReT, section 7.
"""

from __future__ import annotations

from typing import Literal

from sanderling.data.augment import AugmentConfig
from sanderling.models.network import DetectorConfig
from sanderling.recipes.published import expect_published
from sanderling.recipes.run import Run
from sanderling.recipes.teaching import objective_of
from sanderling.training.detection import DetectionTaskConfig
from sanderling.training.loop import LoopConfig
from sanderling.training.optimizer import AdamWConfig
from sanderling.training.schedule import CosineSchedule, Warmup

PUBLISHED = ("yoloret-mobilenetv2-0.75", "yoloret-mobilenetv2-1.4", "yoloret-efficientnet-b3")
"""The detectors that this recipe is for."""

_BATCH = 8
_LR = {1: 1e-3, 2: 1e-4}
_EPOCHS = {1: 100, 2: 150}


def yoloret_published(
    model: DetectorConfig, *, batch: int = _BATCH, epochs: int | None = None, step: Literal[1, 2] = 1
) -> Run:
    """Adam without weight decay along half a cosine: 100 epochs at 1e-3 with a fixed backbone, then 150 at 1e-4.

    By its name the recipe is the first run, which does not begin without weights for its backbone: give a file, or
    `pretrained=imagenet` where there are any of its width. The second run starts from the weights of the first, with
    `epochs=150`, `task.freeze=null` and `optimizer.lr=1e-4`.

    The authors' code also varies gamma (0.8 to 2) and JPEG quality (80 to 100), which a run cannot say;
    self-adversarial training, which the paper names, is switched off there.

    Args:
        model: one of `PUBLISHED`.
        batch: pictures of a batch; the learning rate grows with its square root, as Adam's steps want it.
        epochs: of this run; the step's own without it.
        step: which of the two runs.

    Raises:
        UsageError: it is another detector.
    """
    expect_published(model, PUBLISHED)
    return Run(
        recipe="yoloret-published",
        model=model,
        task=DetectionTaskConfig(objective=objective_of(model), freeze="backbone" if step == 1 else None),
        batch=batch,
        loop=LoopConfig(epochs=_EPOCHS[step] if epochs is None else epochs, mosaic_off=0, validate_every=3),
        optimizer=AdamWConfig(lr=_LR[step] * (batch / _BATCH) ** 0.5, weight_decay=0.0),
        schedule=CosineSchedule(final=0.0),
        warmup=Warmup(steps=0),
        augment=AugmentConfig(
            scale=(0.25, 2.0),
            # Two draws, so that the aspect ratio varies as by a jitter of 0.3.
            stretch=(0.7, 1.3),
            translate=0.4,
            brightness=0.0,
            contrast=(0.9, 1.1),
            saturation=(0.5, 1.5),
            hue=0.5,
            colour_probability=1.0,
        ),
    )
