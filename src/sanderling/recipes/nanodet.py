"""NanoDet and NanoDet-Plus as their authors trained them on COCO (configs of v1.0; sheet on NanoDet, section 7).

The authors start from a backbone trained on ImageNet, but for g, whose own backbone has no such weights; give its
weights. Scale and shift apply to every picture, as in v1 of the code (v0.x applied each to every other one).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sanderling.data.augment import AugmentConfig
from sanderling.models.network import DetectorConfig
from sanderling.recipes.published import expect_published
from sanderling.recipes.run import Run
from sanderling.recipes.teaching import objective_of
from sanderling.training.detection import DetectionTaskConfig
from sanderling.training.ema import EmaConfig
from sanderling.training.loop import LoopConfig
from sanderling.training.optimizer import AdamWConfig, SgdConfig
from sanderling.training.schedule import CosineSchedule, MultiStepSchedule, Warmup

_START, _SLOW_START = Warmup(steps=300, ratio=0.1), Warmup(steps=500, ratio=0.01)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sgd:
    """What the sizes of NanoDet differ in."""

    lr: float = 0.14
    batch: int = 192
    epochs: int = 280
    milestones: tuple[int, ...] = (240, 260, 275)
    """Epochs at which the learning rate falls to a tenth."""
    warmup: Warmup = _START
    scale: tuple[float, float] = (0.6, 1.4)
    validate_every: int = 10
    contrast: tuple[float, float] = (0.6, 1.4)
    saturation: tuple[float, float] = (0.5, 1.2)


_LITE1_AND_REPVGG = _Sgd(
    lr=0.07,
    batch=100,
    epochs=170,
    milestones=(130, 150, 160, 165),
    warmup=_SLOW_START,
    scale=(0.5, 1.5),
    validate_every=5,
)

_SGD: Mapping[str, _Sgd] = {
    "nanodet-m": _Sgd(),
    "nanodet-m-416": _Sgd(scale=(0.5, 1.4)),
    "nanodet-m-0.5x": _Sgd(
        lr=0.07,
        batch=96,
        epochs=180,
        milestones=(130, 160, 175),
        warmup=Warmup(steps=1000, ratio=1e-5),
        scale=(0.5, 1.5),
    ),
    "nanodet-m-1.5x": _Sgd(),
    "nanodet-m-1.5x-416": _Sgd(batch=176, scale=(0.5, 1.4)),
    "nanodet-t": _Sgd(
        batch=160,
        epochs=190,
        milestones=(140, 170, 180, 185),
        warmup=_SLOW_START,
        contrast=(0.8, 1.2),
        saturation=(0.8, 1.2),
    ),
    "nanodet-g": _Sgd(
        lr=0.1, batch=128, epochs=190, milestones=(130, 160, 175, 185), warmup=_SLOW_START, validate_every=5
    ),
    "nanodet-efficientnet-lite0": _Sgd(
        lr=0.15, batch=150, epochs=190, milestones=(140, 170, 180, 185), warmup=_SLOW_START, validate_every=1
    ),
    "nanodet-efficientnet-lite1": _LITE1_AND_REPVGG,
    "nanodet-efficientnet-lite2": _Sgd(
        lr=0.06, batch=60, epochs=135, milestones=(90, 110, 120, 130), scale=(0.5, 1.5), validate_every=5
    ),
    "nanodet-repvgg-a0": _LITE1_AND_REPVGG,
}

PUBLISHED = tuple(_SGD)
"""Models that `nanodet_published` is for."""
PUBLISHED_PLUS = ("nanodet-plus-m", "nanodet-plus-m-320", "nanodet-plus-m-1.5x", "nanodet-plus-m-1.5x-320")
"""Models that `nanodet_plus_published` is for."""


def nanodet_published(model: DetectorConfig, *, batch: int | None = None, epochs: int | None = None) -> Run:
    """SGD with momentum and steps; no average, no clipping.

    For m: 0.14 at batch 192, 280 epochs.

    Args:
        model: a size of NanoDet, by its name.
        batch: pictures of a batch, the published number without it; the learning rate grows with it.
        epochs: of the whole training, the published number without it; the steps keep their shares.

    Raises:
        UsageError: it is another detector.
    """
    expect_published(model, PUBLISHED)
    size = _SGD[model.name]
    batch = batch or size.batch
    return Run(
        recipe="nanodet-published",
        model=model,
        task=DetectionTaskConfig(objective=objective_of(model)),
        batch=batch,
        loop=LoopConfig(epochs=epochs or size.epochs, mosaic_off=0, validate_every=size.validate_every),
        optimizer=SgdConfig(lr=size.lr * (batch / size.batch), momentum=0.9, weight_decay=1e-4),
        schedule=MultiStepSchedule(milestones=tuple(epoch / size.epochs for epoch in size.milestones), gamma=0.1),
        warmup=size.warmup,
        augment=AugmentConfig(scale=size.scale, contrast=size.contrast, saturation=size.saturation),
    )


def nanodet_plus_published(model: DetectorConfig, *, batch: int = 96, epochs: int = 300) -> Run:
    """AdamW, 1e-3 at batch 96, a cosine to 5e-5, gradients clipped at 35, an average of the weights.

    Args:
        model: a size of NanoDet-Plus.
        batch: pictures of a batch; the learning rate grows with its square root, as Adam's steps want it.
        epochs: of the whole training.

    Raises:
        UsageError: it is another detector.
    """
    expect_published(model, PUBLISHED_PLUS)
    return Run(
        recipe="nanodet-plus-published",
        model=model,
        task=DetectionTaskConfig(objective=objective_of(model)),
        batch=batch,
        loop=LoopConfig(epochs=epochs, clip_norm=35.0, mosaic_off=0, validate_every=10),
        optimizer=AdamWConfig(lr=1e-3 * (batch / 96) ** 0.5, weight_decay=0.05, decay_norms=True),
        schedule=CosineSchedule(final=0.05),
        warmup=Warmup(steps=500, ratio=1e-4),
        ema=EmaConfig(decay=0.9998, ramp=2000),
        augment=AugmentConfig(scale=(0.6, 1.4), stretch=(0.8, 1.2)),
    )
