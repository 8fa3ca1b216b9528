"""NanoDet-m as its authors trained it on COCO (config `nanodet-m.yml`; reference sheet, section 7)."""

from __future__ import annotations

from sanderling.data.augment import AugmentConfig
from sanderling.models.network import DetectorConfig
from sanderling.recipes.run import Run
from sanderling.training.loop import LoopConfig
from sanderling.training.optimizer import SgdConfig
from sanderling.training.schedule import MultiStepSchedule, Warmup

_LR, _LR_BATCH = 0.14, 192


def nanodet_published(model: DetectorConfig, *, batch: int = 192, epochs: int = 280) -> Run:
    """SGD, learning rate 0.14 at batch 192, 280 epochs with steps at 240, 260 and 275; no average, no clipping.

    Scale and shift apply to every picture, as in v1 of the code; v0.x applied each to every other one.

    Args:
        model: NanoDet-m, at 416 with scales from 0.5 on as published.
        batch: pictures of a batch; the learning rate grows with it.
        epochs: of the whole training; the steps keep their shares.
    """
    scale = (0.5, 1.4) if model.picture.size_hw[0] >= 416 else (0.6, 1.4)
    return Run(
        recipe="nanodet-published",
        model=model,
        batch=batch,
        loop=LoopConfig(epochs=epochs, mosaic_off=0, validate_every=10),
        optimizer=SgdConfig(lr=_LR * batch / _LR_BATCH, momentum=0.9, weight_decay=1e-4),
        schedule=MultiStepSchedule(milestones=(240 / 280, 260 / 280, 275 / 280), gamma=0.1),
        warmup=Warmup(steps=300, ratio=0.1),
        augment=AugmentConfig(scale=scale),
    )
