"""SSDLite as the released MobileDets were trained on COCO (configurations `ssdlite_mobiledet_*_320x320_coco`).

From freshly drawn weights, 400,000 steps of 512 pictures: no one repeats that on a desk. Two things differ. Theirs is
SSD's crop (drawn until a share of an object is inside, a tenth of the picture at least, a ratio of 0.5 to 2), ours an
enlargement and a shift that come near it. Their learning rate falls with every step, ours with every epoch.

With ssdlite-mobilenetv3-large the backbone differs as well: its BatchNorm has a decay of 0.97 there and its weights
begin as a truncated normal of 0.03; ours has 0.9, and weights as torch draws them.
"""

from __future__ import annotations

from sanderling.data.augment import AugmentConfig
from sanderling.models.network import DetectorConfig
from sanderling.recipes.published import expect_published
from sanderling.recipes.run import Run
from sanderling.recipes.teaching import objective_of
from sanderling.training.detection import DetectionTaskConfig
from sanderling.training.loop import LoopConfig
from sanderling.training.optimizer import SgdConfig
from sanderling.training.schedule import CosineSchedule, Warmup

PUBLISHED = (
    "ssdlite-mobilenetv3-large",
    "ssdlite-mobiledet-cpu",
    "ssdlite-mobiledet-edgetpu",
    "ssdlite-mobiledet-dsp",
    "ssdlite-mobiledet-gpu",
)
"""Detectors whose configurations are released in this form."""

_BATCH, _FIRST = 512, 0.13333
_LR, _LR_MOBILENET = 0.8, 0.4


def mobiledet_published(model: DetectorConfig, *, batch: int = 512, epochs: int = 1735) -> Run:
    """SGD along a cosine from 0.8 (MobileNetV3: 0.4) at batch 512 to 0; no average, no mosaic, no change of colour.

    Args:
        model: one of `PUBLISHED`.
        batch: pictures of a batch; the learning rate grows with it.
        epochs: of the whole training; 1,735 of COCO are the published 400,000 steps.

    Raises:
        UsageError: it is another detector.
    """
    expect_published(model, PUBLISHED)
    peak = _LR if model.name.startswith("ssdlite-mobiledet") else _LR_MOBILENET
    return Run(
        recipe="mobiledet-published",
        model=model,
        task=DetectionTaskConfig(objective=objective_of(model)),
        batch=batch,
        loop=LoopConfig(epochs=epochs, mosaic_off=0, validate_every=10),
        optimizer=SgdConfig(lr=peak * batch / _BATCH, momentum=0.9, weight_decay=4e-5, decay_norms=False),
        schedule=CosineSchedule(final=0.0),
        warmup=Warmup(steps=2000, ratio=_FIRST / peak),
        augment=AugmentConfig(
            scale=(1.0, 2.2),
            stretch=(0.84, 1.19),
            translate=0.3,
            brightness=0.0,
            contrast=(1.0, 1.0),
            saturation=(1.0, 1.0),
            colour_probability=0.0,
        ),
    )
