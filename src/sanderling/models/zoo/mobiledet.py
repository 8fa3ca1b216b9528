"""SSDLite-MobileDet: SSDLite behind backbones that were searched for detection, one per kind of processor.

MobileDets, https://arxiv.org/abs/2004.14525; TensorFlow object detection API (Apache-2.0),
samples/configs/ssdlite_mobiledet_{cpu,edgetpu,dsp,gpu}_320x320_coco_sync_4x4.config. Facts: the maps of stride 16 and
32 are the outputs of the stages C4 and C5; everything behind is SSDLite's, with ReLU6 also where the backbone has the
hard swish; padding is TensorFlow's SAME; BatchNorm has an epsilon of 0.01 in the backbone and 0.001 behind. Latency,
as published: CPU 113 ms on a Pixel 1, Edge TPU 6.9 ms and DSP 12.3 ms on a Pixel 4, GPU 3.2 ms (fp16) on a Jetson
Xavier.

The released checkpoints were trained on COCO 2014 with all but 8,000 of its validation pictures, and val2017 consists
of validation pictures of 2014: most of them were trained on. Only the AP of the configurations' headers is comparable
with other systems, not what the checkpoints reach on val2017.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.models.backbones.mobiledet import (
    MOBILEDET_CPU,
    MOBILEDET_DSP,
    MOBILEDET_EDGETPU,
    MOBILEDET_GPU,
    MobileDetConfig,
)
from sanderling.models.heads.ssd import SsdHeadConfig
from sanderling.models.layers.fused_inverted_bottleneck import FusedIbn
from sanderling.models.layers.inverted_bottleneck import Ibn
from sanderling.models.layers.tucker import Tucker
from sanderling.models.necks.ssd_extras import SsdExtrasConfig
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.entry import Published, ZooEntry
from sanderling.models.zoo.ssdlite import NORMALISATION, POSTPROCESS, ssdlite
from sanderling.structures.artefact import PictureRule

_NOTE = (
    "for 90 classes and a background, BatchNorm's statistics counted as parameters. The headers print {header}; the "
    "sheet's own count has one digit more"
)


def ssdlite_mobiledet_cpu(class_names: Sequence[str]) -> DetectorConfig:
    """For processors."""
    return ssdlite("ssdlite-mobiledet-cpu", MOBILEDET_CPU, class_names)


def ssdlite_mobiledet_edgetpu(class_names: Sequence[str]) -> DetectorConfig:
    """For the Edge TPU."""
    return ssdlite("ssdlite-mobiledet-edgetpu", MOBILEDET_EDGETPU, class_names)


def ssdlite_mobiledet_dsp(class_names: Sequence[str]) -> DetectorConfig:
    """For Hexagon DSPs."""
    return ssdlite("ssdlite-mobiledet-dsp", MOBILEDET_DSP, class_names)


def ssdlite_mobiledet_gpu(class_names: Sequence[str]) -> DetectorConfig:
    """For embedded GPUs."""
    return ssdlite("ssdlite-mobiledet-gpu", MOBILEDET_GPU, class_names)


def mobiledet_debug(class_names: Sequence[str]) -> DetectorConfig:
    """All kinds of blocks at a size that trains in seconds; for tests. Statistics follow faster than published."""
    return DetectorConfig(
        name="mobiledet-debug",
        backbone=MobileDetConfig(
            stem=8,
            squeeze_ratio=0.25,
            momentum=0.1,
            stages=(
                (Ibn(channels=8, expansion=1),),
                (FusedIbn(channels=16, stride=2, expansion=4), Tucker(channels=16, ratio_out=0.75, residual=True)),
                (FusedIbn(channels=24, stride=2, expansion=4),),
                (Ibn(channels=32, stride=2, expansion=4, kernel=5), Ibn(channels=32, expansion=4, residual=True)),
                (Ibn(channels=48, stride=2, expansion=4), FusedIbn(channels=48, expansion=2, residual=True)),
            ),
        ),
        neck=SsdExtrasConfig(channels=(64, 32, 32, 32), momentum=0.1),
        head=SsdHeadConfig(momentum=0.1),
        class_names=tuple(class_names),
        normalisation=NORMALISATION,
        picture=PictureRule(size_hw=(224, 224), resize="stretch"),
        postprocess=POSTPROCESS,
    )


def _published(parameters: float, macs: float, ap: float, *, header: str) -> Published:
    return Published(
        parameters=parameters,
        parameters_step=1_000,
        macs=macs,
        macs_step=1_000_000,
        ap=ap,
        source="headers of the released configurations, AP on val2017; counts: sheet on MobileDets, section 3",
        note=_NOTE.format(header=header),
    )


ENTRIES = (
    ZooEntry(
        name="ssdlite-mobiledet-cpu",
        family="mobiledet",
        make=ssdlite_mobiledet_cpu,
        counts_statistics=True,
        counted_classes=90,
        published=_published(4_205_000, 444_000_000, 0.235, header="4.21 M and 0.45 B"),
    ),
    ZooEntry(
        name="ssdlite-mobiledet-edgetpu",
        family="mobiledet",
        make=ssdlite_mobiledet_edgetpu,
        counts_statistics=True,
        counted_classes=90,
        published=_published(4_196_000, 1_533_000_000, 0.252, header="4.20 M and 1.53 B"),
    ),
    ZooEntry(
        name="ssdlite-mobiledet-dsp",
        family="mobiledet",
        make=ssdlite_mobiledet_dsp,
        counts_statistics=True,
        counted_classes=90,
        published=_published(7_159_000, 2_816_000_000, 0.284, header="7.16 M and 2.82 B"),
    ),
    ZooEntry(
        name="ssdlite-mobiledet-gpu",
        family="mobiledet",
        make=ssdlite_mobiledet_gpu,
        counts_statistics=True,
        counted_classes=90,
        published=_published(13_109_000, 5_073_000_000, 0.275, header="13.11 M and 5.07 B"),
    ),
    ZooEntry(name="mobiledet-debug", family="mobiledet", make=mobiledet_debug),
)
