"""YOLOR with residual, partial residual, cross stage partial and ELAN stages: designs compared by their gradient paths.

Wang, Liao, Yeh, "Designing Network Design Strategies Through Gradient Path Analysis", https://arxiv.org/abs/2211.04800;
the head with implicit knowledge is YOLOR's, https://arxiv.org/abs/2105.04206. All at 640x640, with SiLU. Facts of the
detectors for 80 classes (sheet on gradient paths, section 4.5):

- v3: Darknet-53 and YOLOv3's neck, 61.95 M parameters; v3-spp adds pyramid pooling, 63.00 M;
- PRN: v3-spp, but its 23 residual blocks add only the first half of the channels; same counts;
- CSP: cross stage partial stages after the first one and a path aggregation, 52.92 M, and three other places for the
  transitions ("fusion") of the backbone;
- ELAN {a, b}s: stacks of a convolutions in the backbone, of b in the neck; {2, 1}s is YOLOv7, 36.93 M.

The published scores are those of the same networks with a mask branch beside the boxes, which is not built here; the
paper's counts include its 1,361,536 parameters. The paper's "YOLOR-v3" has the multiply-adds of v3 and the parameters
of v3-spp; its score stands at v3-spp, the baseline by the text. The paper's 34.5 M parameters for ELAN {2, 1}s are
those of {1, 1}s. Anchors of v3 are not stated; they are YOLOv3's here. Those of CSP and ELAN are YOLOv4-CSP's, from the
configurations `yolor-csp.yaml` and `yolov7.yaml` of https://github.com/WongKinYiu/yolov7 (sheet, sections 4.3 and 4.4).

Otherwise than published: BatchNorm's momentum is 0.1 (there 0.03, with which statistics lag in a short training), and
the head starts with the logit of 0.01 for objectness and 0 for classes (there both follow stride and class count).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from sanderling.models.backbones.csp_darknet import CspDarknetConfig
from sanderling.models.backbones.yolor_elan import YolorElanConfig
from sanderling.models.heads.yolo import COCO_ANCHORS, Anchor, YoloHeadConfig
from sanderling.models.layers.csp import CspForm
from sanderling.models.necks.yolor_fpn import YolorFpnConfig
from sanderling.models.necks.yolor_pan import CspBlocks, ElanBlocks, YolorPanConfig
from sanderling.models.network import DetectorConfig, Normalisation
from sanderling.models.zoo.entry import Published, ZooEntry
from sanderling.structures.artefact import PictureRule, PostprocessRule

_PAN_ANCHORS: tuple[tuple[Anchor, ...], ...] = (
    ((12, 16), (19, 36), (40, 28)),
    ((36, 75), (76, 55), (72, 146)),
    ((142, 110), (192, 243), (459, 401)),
)
"""YOLOv4-CSP's, which YOLOR-CSP and YOLOv7 keep."""


def yolor_v3(class_names: Sequence[str], *, name: str, spp: bool, residual_share: float = 1.0) -> DetectorConfig:
    """YOLOv3 in YOLOR's frame; a `residual_share` of a half makes it YOLOR-PRN."""
    return _detector(
        class_names,
        name=name,
        backbone=CspDarknetConfig(stages="residual", residual_share=residual_share),
        neck=YolorFpnConfig(spp=spp),
        anchors=COCO_ANCHORS,
    )


def yolor_csp(class_names: Sequence[str], *, name: str, stages: CspForm) -> DetectorConfig:
    """Cross stage partial stages; `stages` says where the transitions of the backbone stand."""
    return _detector(
        class_names,
        name=name,
        backbone=CspDarknetConfig(stages=stages),
        neck=YolorPanConfig(blocks=CspBlocks()),
        anchors=_PAN_ANCHORS,
    )


def yolor_elan(
    class_names: Sequence[str], *, name: str, backbone: Literal[1, 2], neck: Literal[1, 2]
) -> DetectorConfig:
    """ELAN {backbone, neck}s."""
    return _detector(
        class_names,
        name=name,
        backbone=YolorElanConfig(stack=backbone),
        neck=YolorPanConfig(blocks=ElanBlocks(stack=neck)),
        anchors=_PAN_ANCHORS,
    )


_SMALL_CHANNELS = (8, 16, 24, 32, 48)
_SMALL_REPEATS = (1, 1, 2, 2, 1)


def yolor_v3_debug(class_names: Sequence[str], *, name: str, residual_share: float = 1.0) -> DetectorConfig:
    """YOLOR-v3-SPP or YOLOR-PRN at a size that trains in seconds; both have the same counts."""
    backbone = CspDarknetConfig(
        stem=4, channels=_SMALL_CHANNELS, repeats=_SMALL_REPEATS, stages="residual", residual_share=residual_share
    )
    return _small(class_names, name=name, backbone=backbone, neck=YolorFpnConfig(spp=True))


def yolor_csp_debug(class_names: Sequence[str], *, name: str, stages: Literal["residual"] | CspForm) -> DetectorConfig:
    """YOLOR-CSP at a size that trains in seconds, or the same with plain residual stages, to compare them."""
    backbone = CspDarknetConfig(stem=4, channels=_SMALL_CHANNELS, repeats=_SMALL_REPEATS, stages=stages)
    return _small(class_names, name=name, backbone=backbone, neck=YolorPanConfig(channels=(12, 16, 24)))


def yolor_elan_debug(class_names: Sequence[str]) -> DetectorConfig:
    """YOLOR-ELAN {2, 1}s at a size that trains in seconds."""
    return _small(
        class_names,
        name="yolor-elan-debug",
        backbone=YolorElanConfig(stem=4, stack=2),
        neck=YolorPanConfig(channels=(8, 16, 24), blocks=ElanBlocks(stack=1)),
    )


def _small(
    class_names: Sequence[str],
    *,
    name: str,
    backbone: CspDarknetConfig | YolorElanConfig,
    neck: YolorFpnConfig | YolorPanConfig,
) -> DetectorConfig:
    return _detector(class_names, name=name, backbone=backbone, neck=neck, anchors=COCO_ANCHORS, size_hw=(224, 224))


def _detector(
    class_names: Sequence[str],
    *,
    name: str,
    backbone: CspDarknetConfig | YolorElanConfig,
    neck: YolorFpnConfig | YolorPanConfig,
    anchors: tuple[tuple[Anchor, ...], ...],
    size_hw: tuple[int, int] = (640, 640),
) -> DetectorConfig:
    return DetectorConfig(
        name=name,
        backbone=backbone,
        neck=neck,
        head=YoloHeadConfig(anchors=anchors, scale_xy=2.0, size="sigmoid_squared", implicit=True),
        class_names=tuple(class_names),
        normalisation=Normalisation(mean=(0, 0, 0), std=(255, 255, 255)),
        picture=PictureRule(size_hw=size_hw, resize="letterbox", pad_value=114),
        postprocess=PostprocessRule(score=0.001, iou=0.65, max_detections=300),
    )


def _entry(
    name: str, make: Callable[..., DetectorConfig], *, parameters: int, gflops: float, ap: float | None, note: str = ""
) -> ZooEntry:
    """An entry with the counts of the detector alone; one multiply-add is two FLOPs in the paper and in the sheet."""
    return ZooEntry(
        name=name,
        family="yolor",
        make=partial(make, name=name),
        published=Published(
            source="counts: sheet on gradient paths, 4.5; AP: arXiv 2211.04800, tables 5 to 8",
            parameters=parameters,
            macs=gflops * 1e9 / 2,
            macs_step=0.01e9 / 2,
            ap=ap,
            note=f"FLOPs halved to multiply-adds; AP is of the network with a mask branch{note}",
        ),
    )


ENTRIES = (
    _entry(
        "yolor-v3",
        partial(yolor_v3, spp=False),
        parameters=61_951_706,
        gflops=155.89,
        ap=None,
        note="; the paper's YOLOR-v3 has the FLOPs of this one and the parameters of yolor-v3-spp",
    ),
    _entry("yolor-v3-spp", partial(yolor_v3, spp=True), parameters=63_001_306, gflops=156.73, ap=0.495),
    _entry(
        "yolor-prn",
        partial(yolor_v3, spp=True, residual_share=0.5),
        parameters=63_001_306,
        gflops=156.73,
        ap=0.500,
        note="; counts are those of yolor-v3-spp, as the paper says",
    ),
    _entry("yolor-csp", partial(yolor_csp, stages="csp"), parameters=52_923_994, gflops=120.24, ap=0.510),
    _entry(
        "yolor-csp-fusion-first",
        partial(yolor_csp, stages="csp_fusion_first"),
        parameters=52_573_914,
        gflops=119.40,
        ap=0.508,
    ),
    _entry(
        "yolor-csp-fusion-last",
        partial(yolor_csp, stages="csp_fusion_last"),
        parameters=51_527_514,
        gflops=116.88,
        ap=0.506,
    ),
    _entry(
        "yolor-csp-no-fusion",
        partial(yolor_csp, stages="csp_no_fusion"),
        parameters=51_177_434,
        gflops=116.05,
        ap=0.505,
    ),
    _entry("yolor-elan-1-1", partial(yolor_elan, backbone=1, neck=1), parameters=33_177_242, gflops=87.64, ap=0.502),
    _entry(
        "yolor-elan-2-1",
        partial(yolor_elan, backbone=2, neck=1),
        parameters=36_930_970,
        gflops=104.51,
        ap=0.514,
        note="; the paper's 34.5 M parameters are those of yolor-elan-1-1",
    ),
    _entry("yolor-elan-2-2", partial(yolor_elan, backbone=2, neck=2), parameters=47_073_178, gflops=125.27, ap=0.518),
    ZooEntry(
        name="yolor-prn-debug",
        family="yolor",
        make=partial(yolor_v3_debug, name="yolor-prn-debug", residual_share=0.5),
    ),
    ZooEntry(
        name="yolor-csp-debug", family="yolor", make=partial(yolor_csp_debug, name="yolor-csp-debug", stages="csp")
    ),
    ZooEntry(name="yolor-elan-debug", family="yolor", make=yolor_elan_debug),
)
