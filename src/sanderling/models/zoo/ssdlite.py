"""SSDLite: two maps of a light backbone, four extra levels, and a separable convolution per level and output.

SSD, https://arxiv.org/abs/1512.02325; SSDLite, https://arxiv.org/abs/1801.04381 (MobileNetV2) and
https://arxiv.org/abs/1905.02244 (MobileNetV3), as TensorFlow's object detection API builds them (Apache-2.0). Facts:
the map of stride 16 is the expansion inside the first block of stride 32 (`layer_15/expansion_output` of MobileNetV2,
`layer_14/expansion_output` of MobileNetV3-large), the map of stride 32 the classifier's last 1x1 convolution;
MobileNetV3's detectors have half the channels behind stride 16. Six anchors per cell, three on the finest level:
2,034 at 320x320. Pictures are stretched to 320x320 without regard to their aspect ratio, values -1..1.

Both papers state 320x320, which is used here; TensorFlow's configuration of MobileNetV2 has 300x300. Backbones pad as
TensorFlow does. Trained weights are published as TensorFlow graphs, which nothing here reads; a map of their keys would
need the order of the modules (it is the same), kernels HWIO to OIHW, the box rows of an anchor from y, x, h, w to
x, y, w, h, and of its class rows the background first, as theirs are.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.models.backbones.mobilenet_v2 import MobileNetV2Config
from sanderling.models.backbones.mobilenet_v3 import MobileNetV3Config
from sanderling.models.heads.ssd import SsdHeadConfig
from sanderling.models.necks.ssd_extras import SsdExtrasConfig
from sanderling.models.network import BackboneConfig, DetectorConfig, Normalisation
from sanderling.models.zoo.entry import Published, ZooEntry
from sanderling.structures.artefact import PictureRule, PostprocessRule

NORMALISATION = Normalisation(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))
POSTPROCESS = PostprocessRule(score=1e-8, iou=0.6, max_detections=100)
STRIDES = (16, 32)


def ssdlite(name: str, backbone: BackboneConfig, class_names: Sequence[str]) -> DetectorConfig:
    """SSDLite at 320x320 behind any backbone that gives maps of strides 16 and 32."""
    return DetectorConfig(
        name=name,
        backbone=backbone,
        neck=SsdExtrasConfig(),
        head=SsdHeadConfig(),
        class_names=tuple(class_names),
        normalisation=NORMALISATION,
        picture=PictureRule(size_hw=(320, 320), resize="stretch"),
        postprocess=POSTPROCESS,
    )


def ssdlite_mobilenetv2(class_names: Sequence[str]) -> DetectorConfig:
    """MobileNetV2 1.0."""
    backbone = MobileNetV2Config(last_conv=True, strides=STRIDES, tap="expansion", padding="same")
    return ssdlite("ssdlite-mobilenetv2", backbone, class_names)


def ssdlite_mobilenetv3_large(class_names: Sequence[str]) -> DetectorConfig:
    """MobileNetV3-large 1.0 with the halved tail."""
    backbone = MobileNetV3Config(
        size="large", reduced_tail=True, last_conv=True, strides=STRIDES, tap="expansion", padding="same"
    )
    return ssdlite("ssdlite-mobilenetv3-large", backbone, class_names)


def ssdlite_debug(class_names: Sequence[str]) -> DetectorConfig:
    """The structure of SSDLite-MobileNetV3-large at a size that trains in seconds; for tests."""
    backbone = MobileNetV3Config(
        size="large", width=0.25, reduced_tail=True, last_conv=True, strides=STRIDES, tap="expansion", padding="same"
    )
    return DetectorConfig(
        name="ssdlite-debug",
        backbone=backbone,
        neck=SsdExtrasConfig(channels=(64, 32, 32, 32), momentum=0.1),
        head=SsdHeadConfig(momentum=0.1),
        class_names=tuple(class_names),
        normalisation=NORMALISATION,
        picture=PictureRule(size_hw=(224, 224), resize="stretch"),
        postprocess=POSTPROCESS,
    )


ENTRIES = (
    ZooEntry(
        name="ssdlite-mobilenetv2",
        family="ssdlite",
        make=ssdlite_mobilenetv2,
        published=Published(
            parameters=4_300_000,
            parameters_step=100_000,
            macs=800_000_000,
            macs_step=100_000_000,
            ap=0.221,
            source="MobileNetV2, https://arxiv.org/abs/1801.04381, table 6; AP on COCO test-dev",
            note="for 80 classes and a background; the released configuration has 90, for which there are 4.50 M",
        ),
    ),
    ZooEntry(
        name="ssdlite-mobilenetv3-large",
        family="ssdlite",
        make=ssdlite_mobilenetv3_large,
        counts_norms=False,
        counted_classes=90,
        published=Published(
            parameters=3_220_000,
            parameters_step=10_000,
            macs=510_000_000,
            macs_step=10_000_000,
            ap=0.22,
            source="MobileNetV3, https://arxiv.org/abs/1905.02244, table 6; AP on COCO test-dev",
            note="for 90 classes and a background, without BatchNorm's scales and shifts: only so do both printed "
            "figures agree, 3.22 M and 4.97 M with the whole tail",
        ),
    ),
    ZooEntry(name="ssdlite-debug", family="ssdlite", make=ssdlite_debug),
)
