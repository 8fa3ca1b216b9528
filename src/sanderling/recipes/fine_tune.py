"""The recipe for people's own data: some hundred to some thousand pictures, a processor or one GPU, any batch.

AdamW with a cosine, gradients clipped and an average of the weights, as NanoDet-Plus is trained; mosaic until the last
epochs. It starts from given weights as well as from nothing. The learning rate follows the batch.
"""

from __future__ import annotations

from sanderling.data.augment import AugmentConfig
from sanderling.models.network import DetectorConfig
from sanderling.recipes.run import Run
from sanderling.recipes.teaching import objective_of
from sanderling.training.detection import DetectionTaskConfig
from sanderling.training.ema import EmaConfig
from sanderling.training.loop import LoopConfig
from sanderling.training.optimizer import AdamWConfig
from sanderling.training.schedule import CosineSchedule, Warmup

_LR_BATCH = 16
_LR_PRETRAINED, _LR_FROM_SCRATCH = 1e-3, 3e-3


def fine_tune(model: DetectorConfig, *, batch: int = 16, epochs: int = 100, from_scratch: bool = True) -> Run:
    """The default recipe of every model.

    Args:
        model: what is trained.
        batch: pictures of a batch; the learning rate grows with its square root, as Adam's steps want it.
        epochs: of the whole training; mosaic ends a tenth before the end.
        from_scratch: no weights are given to start from, so the steps may be larger.
    """
    rate = _LR_FROM_SCRATCH if from_scratch else _LR_PRETRAINED
    return Run(
        recipe="fine-tune",
        model=model,
        task=DetectionTaskConfig(objective=objective_of(model)),
        batch=batch,
        loop=LoopConfig(epochs=epochs, clip_norm=35.0, mosaic_off=max(1, epochs // 10)),
        optimizer=AdamWConfig(lr=rate * (batch / _LR_BATCH) ** 0.5, weight_decay=0.05),
        schedule=CosineSchedule(final=0.02),
        warmup=Warmup(steps=100, ratio=0.01),
        ema=EmaConfig(decay=0.998, ramp=200),
        augment=AugmentConfig(mosaic=0.5),
    )
