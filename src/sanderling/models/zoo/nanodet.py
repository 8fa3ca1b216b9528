"""NanoDet: a light backbone, path aggregation without convolutions, and a light distribution head.

https://github.com/RangiLyu/nanodet, v0.1 to v1.0 (Apache-2.0), configs `legacy_v0.x_configs`. Facts of the head: all
published weights hold a box-only output (`gfl_reg`, 9,312 parameters in m) that nothing uses. What the sizes differ in:

| name               | backbone                | neck     | side     | tower               | bins | prior |
|--------------------|-------------------------|----------|----------|---------------------|------|-------|
| m, m-416           | ShuffleNetV2 x1.0       | PAN 96   | 320, 416 | 2 separable         | 8    | 5     |
| m-0.5x             | ShuffleNetV2 x0.5       | PAN 96   | 320      | 2 separable         | 8    | 5     |
| m-1.5x, -416       | ShuffleNetV2 x1.5       | PAN 128  | 320, 416 | 2 separable         | 8    | 5     |
| t                  | ShuffleNetV2 x1.0       | TAN 128  | 320      | 2 separable         | 8    | 5     |
| g                  | CSP of plain 3x3        | PAN 128  | 416      | 1 plain             | 11   | 8     |
| efficientnet-lite0 | EfficientNet-Lite0      | PAN 96   | 320      | 2 separable, ReLU6  | 8    | 5     |
| efficientnet-lite1 | EfficientNet-Lite1      | PAN 128  | 416      | 3 separable, ReLU6  | 11   | 8     |
| efficientnet-lite2 | EfficientNet-Lite2      | PAN 128  | 512      | 4 separable, ReLU6  | 11   | 5     |
| repvgg-a0          | RepVGG-A0, 512 at last  | PAN 128  | 416      | 2 plain, ReLU       | 11   | 8     |
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sanderling.models.backbones.custom_csp import CustomCspConfig
from sanderling.models.backbones.efficientnet_lite import EfficientNetLiteConfig
from sanderling.models.backbones.repvgg import RepVggConfig
from sanderling.models.backbones.shufflenet_v2 import ShuffleNetV2Config
from sanderling.models.heads.distribution import DistributionHeadConfig
from sanderling.models.necks.tan import TanConfig
from sanderling.models.necks.tiny_pan import TinyPanConfig
from sanderling.models.network import DetectorConfig, Normalisation
from sanderling.models.zoo.entry import Published, ZooEntry
from sanderling.structures.artefact import PictureRule

_SOURCE = "AP: NanoDet README, model zoo; counts: sheet on NanoDet, section 1"

# The published checkpoints hold a box-only 1x1 per level beside the shared output; nothing reads it.
UNUSED = ("head.gfl_reg.",)
# NanoDet-t's also hold a linear layer beside the transformer.
_UNUSED_TAN = ("neck.transformer.linear.",)

_HEAD = DistributionHeadConfig(depth=2, bins=8, prior_scale=5.0, unused_box_outputs=True)
_LITE = Normalisation(mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0))


def nanodet_m(class_names: Sequence[str]) -> DetectorConfig:
    """NanoDet-m at 320x320."""
    return DetectorConfig(
        name="nanodet-m",
        backbone=ShuffleNetV2Config(channels=(116, 232, 464), units=(4, 8, 4)),
        neck=TinyPanConfig(channels=96),
        head=_HEAD,
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(320, 320), resize="letterbox", pad_value=0),
    )


def nanodet_m_416(class_names: Sequence[str]) -> DetectorConfig:
    """NanoDet-m at 416x416: the same network, published with its own weights."""
    return dataclasses.replace(nanodet_m(class_names).with_picture(size_hw=(416, 416)), name="nanodet-m-416")


def nanodet_m_0_5x(class_names: Sequence[str]) -> DetectorConfig:
    """NanoDet-m with half of the backbone's channels."""
    return dataclasses.replace(
        nanodet_m(class_names), name="nanodet-m-0.5x", backbone=ShuffleNetV2Config(channels=(48, 96, 192))
    )


def nanodet_m_1_5x(class_names: Sequence[str]) -> DetectorConfig:
    """NanoDet-m with half as many channels again."""
    return dataclasses.replace(
        nanodet_m(class_names),
        name="nanodet-m-1.5x",
        backbone=ShuffleNetV2Config(channels=(176, 352, 704)),
        neck=TinyPanConfig(channels=128),
    )


def nanodet_m_1_5x_416(class_names: Sequence[str]) -> DetectorConfig:
    """NanoDet-m-1.5x at 416x416."""
    return dataclasses.replace(nanodet_m_1_5x(class_names).with_picture(size_hw=(416, 416)), name="nanodet-m-1.5x-416")


def nanodet_t(class_names: Sequence[str]) -> DetectorConfig:
    """NanoDet-t: NanoDet-m with a transformer for a neck; its places are learned for 320x320."""
    return dataclasses.replace(
        nanodet_m(class_names), name="nanodet-t", neck=TanConfig(channels=128, cells_hw=(20, 20), unused_linear=True)
    )


def nanodet_g(class_names: Sequence[str]) -> DetectorConfig:
    """NanoDet-g: no depthwise convolutions, for chips that have more arithmetic than bandwidth."""
    head = dataclasses.replace(_HEAD, tower="plain", depth=1, bins=11, prior_scale=8.0)
    return _wide("nanodet-g", class_names, 416, CustomCspConfig(), head)


def nanodet_efficientnet_lite0(class_names: Sequence[str]) -> DetectorConfig:
    """NanoDet on EfficientNet-Lite0."""
    return dataclasses.replace(
        nanodet_m(class_names),
        name="nanodet-efficientnet-lite0",
        backbone=EfficientNetLiteConfig(),
        head=dataclasses.replace(_HEAD, act="relu6"),
        normalisation=_LITE,
    )


def nanodet_efficientnet_lite1(class_names: Sequence[str]) -> DetectorConfig:
    """NanoDet on EfficientNet-Lite1: deeper."""
    head = dataclasses.replace(_HEAD, depth=3, bins=11, prior_scale=8.0, act="relu6")
    backbone = EfficientNetLiteConfig(blocks=(1, 3, 3, 4, 4, 5, 1))
    config = _wide("nanodet-efficientnet-lite1", class_names, 416, backbone, head)
    return dataclasses.replace(config, normalisation=_LITE)


def nanodet_efficientnet_lite2(class_names: Sequence[str]) -> DetectorConfig:
    """NanoDet on EfficientNet-Lite2: wider as well."""
    head = dataclasses.replace(_HEAD, depth=4, bins=11, act="relu6")
    backbone = EfficientNetLiteConfig(channels=(16, 24, 48, 88, 120, 208, 352), blocks=(1, 3, 3, 4, 4, 5, 1))
    config = _wide("nanodet-efficientnet-lite2", class_names, 512, backbone, head)
    return dataclasses.replace(config, normalisation=_LITE)


def nanodet_repvgg_a0(class_names: Sequence[str]) -> DetectorConfig:
    """NanoDet on RepVGG-A0 with 512 channels in its last stage; `merged()` is what ships."""
    head = dataclasses.replace(_HEAD, tower="plain", bins=11, prior_scale=8.0, act="relu")
    backbone = RepVggConfig(channels=(48, 96, 192, 512))
    return _wide("nanodet-repvgg-a0", class_names, 416, backbone, head)


def nanodet_debug(class_names: Sequence[str]) -> DetectorConfig:
    """The same structure at a size that trains in seconds; for tests and the demonstration."""
    return DetectorConfig(
        name="nanodet-debug",
        backbone=ShuffleNetV2Config(stem=16, channels=(32, 64, 128), units=(2, 2, 2)),
        neck=TinyPanConfig(channels=48),
        head=DistributionHeadConfig(depth=1, bins=8, prior_scale=5.0),
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(256, 256), resize="letterbox", pad_value=0),
    )


def _wide(
    name: str,
    class_names: Sequence[str],
    side: int,
    backbone: CustomCspConfig | EfficientNetLiteConfig | RepVggConfig,
    head: DistributionHeadConfig,
) -> DetectorConfig:
    return DetectorConfig(
        name=name,
        backbone=backbone,
        neck=TinyPanConfig(channels=128),
        head=head,
        class_names=tuple(class_names),
        picture=PictureRule(size_hw=(side, side), resize="letterbox", pad_value=0),
    )


def _published(parameters: int, macs_m: float, ap: float, note: str = "") -> Published:
    return Published(parameters=parameters, macs=macs_m * 1e6, macs_step=100_000, ap=ap, source=_SOURCE, note=note)


ENTRIES = (
    ZooEntry(
        name="nanodet-m",
        family="nanodet",
        make=nanodet_m,
        published=_published(959_348, 342.2, 0.206),
        unused_parameters=UNUSED,
        pretrained=("coco",),
    ),
    ZooEntry(
        name="nanodet-m-416",
        family="nanodet",
        make=nanodet_m_416,
        published=_published(959_348, 578.4, 0.235),
        unused_parameters=UNUSED,
        pretrained=("coco",),
    ),
    ZooEntry(
        name="nanodet-m-0.5x",
        family="nanodet",
        make=nanodet_m_0_5x,
        published=_published(280_368, 138.7, 0.135),
        unused_parameters=UNUSED,
        pretrained=("coco",),
    ),
    ZooEntry(
        name="nanodet-m-1.5x",
        family="nanodet",
        make=nanodet_m_1_5x,
        published=_published(2_077_776, 696.2, 0.235),
        unused_parameters=UNUSED,
        pretrained=("coco",),
    ),
    ZooEntry(
        name="nanodet-m-1.5x-416",
        family="nanodet",
        make=nanodet_m_1_5x_416,
        published=_published(2_077_776, 1176.7, 0.268),
        unused_parameters=UNUSED,
        pretrained=("coco",),
    ),
    ZooEntry(
        name="nanodet-t",
        family="nanodet",
        make=nanodet_t,
        published=_published(
            1_360_404, 530.7, 0.217, "attention products are counted, which the README's 0.96 GFLOPs leave out"
        ),
        unused_parameters=(*UNUSED, *_UNUSED_TAN),
        pretrained=("coco",),
    ),
    ZooEntry(
        name="nanodet-g",
        family="nanodet",
        make=nanodet_g,
        published=_published(3_805_656, 2090.1, 0.229),
        unused_parameters=UNUSED,
        pretrained=("coco",),
    ),
    ZooEntry(
        name="nanodet-efficientnet-lite0",
        family="nanodet",
        make=nanodet_efficientnet_lite0,
        published=_published(3_109_136, 821.0, 0.247),
        unused_parameters=UNUSED,
        pretrained=("coco",),
    ),
    ZooEntry(
        name="nanodet-efficientnet-lite1",
        family="nanodet",
        make=nanodet_efficientnet_lite1,
        published=_published(4_011_768, 1932.9, 0.303),
        unused_parameters=UNUSED,
        pretrained=("coco",),
    ),
    ZooEntry(
        name="nanodet-efficientnet-lite2",
        family="nanodet",
        make=nanodet_efficientnet_lite2,
        published=_published(4_706_488, 3404.8, 0.326),
        unused_parameters=UNUSED,
        pretrained=("coco",),
    ),
    ZooEntry(
        name="nanodet-repvgg-a0",
        family="nanodet",
        make=nanodet_repvgg_a0,
        published=Published(
            parameters=6_754_584,
            macs=5_650_000_000,
            macs_step=50_000_000,
            ap=0.278,
            source=_SOURCE,
            note="merged: the sheet's 7,404,408 while training with its backbone of 6,350,336 merged to 5,700,512; "
            "the README's 11.3 GFLOPs are twice the multiply-adds; 6127.1 M while training",
        ),
        unused_parameters=UNUSED,
        pretrained=("coco",),
    ),
    ZooEntry(name="nanodet-debug", family="nanodet", make=nanodet_debug),
)
