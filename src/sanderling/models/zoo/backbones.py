"""The classification backbones of the gradient-path papers by name, with the counts that the authors state.

CSPNet, https://arxiv.org/abs/1911.11929, and https://arxiv.org/abs/2211.04800, table 2, at 256x256 with 1000 classes;
VoVNet, https://arxiv.org/abs/1904.09730, without classes at 640x640, as the sheet on gradient paths counts it
(sections 4.6, 4.9 and 5.5). Each config is a backbone for any detector of the zoo: `dataclasses.replace(detector,
backbone=entry.config)`; `classifier(entry.config)` is the network that is trained on ImageNet.

The parameters of table 2 are those without BatchNorm's scales and shifts. Its 9.74 GFLOPs for ResNet-50 are met with
the classes behind the mean over the picture; the authors' file has them before it, which costs 0.26 more.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from sanderling.models.backbones.csp_darknet import CspDarknetConfig
from sanderling.models.backbones.csp_resnet import CspResNetConfig, PlainResNetConfig
from sanderling.models.backbones.densenet import DenseNetConfig
from sanderling.models.backbones.vovnet import VoVNetConfig
from sanderling.models.network import BackboneConfig
from sanderling.models.zoo.entry import Published

_RESNEXT_WIDTHS = (128, 256, 512, 1024)


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneEntry:
    """A name, a backbone, and what is published of it, with the classification layer where there are `classes`."""

    name: str
    config: BackboneConfig
    size_hw: tuple[int, int]
    classes: int | None
    counts_affine: bool
    """The published count includes BatchNorm's scales and shifts."""
    published: Published | None = None


class Classifier(nn.Module):
    """A backbone's coarsest map, its mean over the picture, and one number for each class."""

    def __init__(self, backbone: nn.Module, channels: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.output = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures (B, 3, H, W) to class logits (B, classes)."""
        return self.output(self.backbone(images)[-1].mean((2, 3)))


def classifier(config: BackboneConfig, classes: int = 1000) -> Classifier:
    """A backbone with a classification layer, freshly drawn.

    >>> sum(parameter.numel() for parameter in classifier(CSP_DARKNET53).parameters())
    27642184
    """
    backbone = config.build()
    return Classifier(backbone, backbone.features.channels[-1], classes)


def _imagenet(
    name: str, config: BackboneConfig, *, parameters: float, gflops: float, step: float = 0.01e6, note: str = ""
) -> BackboneEntry:
    """An entry of table 2: parameters in millions, FLOPs in thousands of millions, two for each multiply-add."""
    return BackboneEntry(
        name=name,
        config=config,
        size_hw=(256, 256),
        classes=1000,
        counts_affine=False,
        published=Published(
            source="CSPNet README; arXiv 2211.04800, table 2",
            parameters=parameters * 1e6,
            parameters_step=step,
            macs=gflops * 1e9 / 2,
            macs_step=0.01e9 / 2,
            note=f"FLOPs halved to multiply-adds; BatchNorm's scales and shifts are not counted{note}",
        ),
    )


def _vovnet(name: str, config: VoVNetConfig, *, parameters: float | None = None, gflops: float = 0) -> BackboneEntry:
    published = None
    if parameters is not None:
        published = Published(
            source="sheet on gradient paths, section 4.9",
            parameters=parameters * 1e6,
            parameters_step=0.01e6,
            macs=gflops * 1e9 / 2,
            macs_step=0.1e9 / 2,
            note="FLOPs halved to multiply-adds; without classes",
        )
    return BackboneEntry(
        name=name, config=config, size_hw=(640, 640), classes=None, counts_affine=True, published=published
    )


DARKNET53 = CspDarknetConfig(stages="residual", act="leaky_relu", eps=1e-5)
CSP_DARKNET53 = CspDarknetConfig(first_stage="csp", act="leaky_relu", eps=1e-5)
_VOVNET_MODULES = {39: (1, 1, 2, 2), 57: (1, 1, 4, 3), 99: (1, 3, 9, 3)}

BACKBONES = (
    _imagenet("darknet53", DARKNET53, parameters=41.57, gflops=18.57),
    BackboneEntry(
        name="csp-darknet53",
        config=CSP_DARKNET53,
        size_hw=(256, 256),
        classes=1000,
        counts_affine=True,
        published=Published(
            source="sheet on gradient paths, section 4.6",
            parameters=27_642_184,
            macs=13.067e9 / 2,
            macs_step=0.001e9 / 2,
            note="FLOPs halved to multiply-adds; the published 27.61 M are without BatchNorm's scales and shifts",
        ),
    ),
    _imagenet(
        "resnet50",
        PlainResNetConfig(),
        parameters=22.73,
        gflops=9.74,
        step=0.02e6,
        note="; the parameters are printed cut off, not rounded",
    ),
    _imagenet("csp-resnet50", CspResNetConfig(), parameters=21.57, gflops=8.97),
    _imagenet("resnext50", PlainResNetConfig(hidden=_RESNEXT_WIDTHS, groups=32), parameters=22.19, gflops=10.11),
    _imagenet(
        "csp-resnext50",
        CspResNetConfig(hidden=_RESNEXT_WIDTHS, paths=_RESNEXT_WIDTHS, channels=(256, 512, 1024, 2048), groups=32),
        parameters=20.50,
        gflops=7.93,
    ),
    BackboneEntry(
        name="densenet121",
        config=DenseNetConfig(),
        size_hw=(224, 224),
        classes=1000,
        counts_affine=True,
        published=Published(
            source="torchvision, densenet121 (parameters and GFLOPS of its weights)",
            parameters=7_978_856,
            macs=2.83e9,
            macs_step=0.01e9,
            note="torchvision's GFLOPS are multiply-adds",
        ),
    ),
    BackboneEntry(
        name="sparsenet121",
        config=DenseNetConfig(reads="powers_of_two"),
        size_hw=(224, 224),
        classes=1000,
        counts_affine=True,
    ),
    *(
        _vovnet(f"vovnet{depth}", VoVNetConfig(modules=_VOVNET_MODULES[depth]), parameters=parameters, gflops=gflops)
        for depth, parameters, gflops in ((39, 21.58, 115.4), (57, 35.62, 145.8), (99, 60.21, 269.1))
    ),
    *(
        _vovnet(f"vovnet{depth}-replanned", VoVNetConfig(modules=modules, stages="replanned"))
        for depth, modules in _VOVNET_MODULES.items()
    ),
    *(
        _vovnet(f"vovnet{depth}-replanned-by-module", VoVNetConfig(modules=modules, stages="replanned_by_module"))
        for depth, modules in _VOVNET_MODULES.items()
    ),
)
"""How the authors re-planned VoVNet-99, and with which neck, is not stated; of those variants nothing is published."""
