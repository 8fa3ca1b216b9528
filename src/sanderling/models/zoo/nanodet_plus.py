"""NanoDet-Plus: NanoDet with ghost blocks in the neck, a fourth level, 5x5 kernels, and a branch that guides training.

https://github.com/RangiLyu/nanodet, v1.0 (Apache-2.0). Facts: pictures are stretched, not letterboxed; points lie in
the corner of their cell (decoded with the offset 0.5 of NanoDet-m, the published weights lose 15 AP); strides 8, 16,
32 and 64, sides of the last level rounded up, so that inputs are multiples of 32. While training, a copy of the neck
and a heavy head decide which points are responsible for which box; with them m has 4,330,904 parameters and m-1.5x
7,962,196. COCO val2017 AP: m 27.0 at 320 and 30.4 at 416, m-1.5x 29.9 and 34.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sanderling.models.auxiliary.guidance import GuidanceConfig
from sanderling.models.backbones.shufflenet_v2 import ShuffleNetV2Config
from sanderling.models.heads.distribution import DistributionHeadConfig
from sanderling.models.necks.ghost_pan import GhostPanConfig
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.entry import Published, ZooEntry
from sanderling.structures.artefact import PictureRule

_SOURCE = "NanoDet README, model zoo; counts: sheet on NanoDet, section 1"
_NOTE = (
    "the README's 1.17 M and 2.44 M parameters are those of convolutions alone, its FLOPs twice the multiply-adds; "
    "without the branch that only teaches"
)
_GUIDANCE = GuidanceConfig(depth=4, groups=32, detach_epoch=10)


def nanodet_plus_m(class_names: Sequence[str], *, side: int = 416) -> DetectorConfig:
    """NanoDet-Plus-m."""
    return _plus("nanodet-plus-m", class_names, side, ShuffleNetV2Config(channels=(116, 232, 464)), channels=96)


def nanodet_plus_m_1_5x(class_names: Sequence[str], *, side: int = 416) -> DetectorConfig:
    """NanoDet-Plus-m-1.5x: a backbone and a neck of more channels."""
    return _plus("nanodet-plus-m-1.5x", class_names, side, ShuffleNetV2Config(channels=(176, 352, 704)), channels=128)


def nanodet_plus_debug(class_names: Sequence[str]) -> DetectorConfig:
    """The same structure at a size that trains in seconds; for tests and the demonstration."""
    backbone = ShuffleNetV2Config(stem=16, channels=(32, 64, 128), units=(2, 2, 2))
    guidance = GuidanceConfig(depth=1, groups=16)
    return _plus("nanodet-plus-debug", class_names, 224, backbone, channels=40, guidance=guidance)


def _plus(
    name: str,
    class_names: Sequence[str],
    side: int,
    backbone: ShuffleNetV2Config,
    *,
    channels: int,
    guidance: GuidanceConfig = _GUIDANCE,
) -> DetectorConfig:
    return DetectorConfig(
        name=name if side != 320 else f"{name}-320",
        backbone=backbone,
        neck=GhostPanConfig(channels=channels, kernel=5),
        head=DistributionHeadConfig(depth=2, kernel=5, bins=8, prior_offset=0.0),
        class_names=tuple(class_names),
        auxiliary=guidance,
        picture=PictureRule(size_hw=(side, side), resize="stretch"),
    )


def _at_320(make: Callable[..., DetectorConfig]) -> Callable[[Sequence[str]], DetectorConfig]:
    return lambda class_names: make(class_names, side=320)


def _published(parameters: int, macs: int, ap: float) -> Published:
    return Published(parameters=parameters, macs=macs, macs_step=100_000, ap=ap, source=_SOURCE, note=_NOTE)


ENTRIES = (
    ZooEntry(
        name="nanodet-plus-m",
        family="nanodet-plus",
        make=nanodet_plus_m,
        published=_published(1_197_924, 762_100_000, 0.304),
        pretrained=("coco",),
    ),
    ZooEntry(
        name="nanodet-plus-m-320",
        family="nanodet-plus",
        make=_at_320(nanodet_plus_m),
        published=_published(1_197_924, 450_700_000, 0.270),
        pretrained=("coco",),
    ),
    ZooEntry(
        name="nanodet-plus-m-1.5x",
        family="nanodet-plus",
        make=nanodet_plus_m_1_5x,
        published=_published(2_477_792, 1_486_500_000, 0.341),
        pretrained=("coco",),
    ),
    ZooEntry(
        name="nanodet-plus-m-1.5x-320",
        family="nanodet-plus",
        make=_at_320(nanodet_plus_m_1_5x),
        published=_published(2_477_792, 879_200_000, 0.299),
        pretrained=("coco",),
    ),
    ZooEntry(name="nanodet-plus-debug", family="nanodet-plus", make=nanodet_plus_debug),
)
