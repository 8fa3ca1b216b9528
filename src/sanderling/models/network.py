"""A detector as a value (`DetectorConfig`) and as a network (`DetectorNetwork`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.auxiliary.guidance import GuidanceConfig
from sanderling.models.backbones.csp_darknet import CspDarknetConfig
from sanderling.models.backbones.csp_resnet import CspResNetConfig, PlainResNetConfig
from sanderling.models.backbones.csp_tiny import CspTinyConfig
from sanderling.models.backbones.custom_csp import CustomCspConfig
from sanderling.models.backbones.densenet import DenseNetConfig
from sanderling.models.backbones.efficientnet import EfficientNetConfig
from sanderling.models.backbones.efficientnet_lite import EfficientNetLiteConfig
from sanderling.models.backbones.linear_bottlenecks import LinearBottlenecksConfig
from sanderling.models.backbones.mobiledet import MobileDetConfig
from sanderling.models.backbones.mobilenet_v1 import MobileNetV1Config
from sanderling.models.backbones.mobilenet_v2 import MobileNetV2Config
from sanderling.models.backbones.mobilenet_v3 import MobileNetV3Config
from sanderling.models.backbones.repvgg import RepVggConfig
from sanderling.models.backbones.resnet import ResNetConfig
from sanderling.models.backbones.shufflenet_v2 import ShuffleNetV2Config
from sanderling.models.backbones.timm_features import TimmConfig
from sanderling.models.backbones.tiny_darknet import TinyDarknetConfig
from sanderling.models.backbones.vovnet import VoVNetConfig
from sanderling.models.backbones.yolor_elan import YolorElanConfig
from sanderling.models.backbones.yolov7_tiny import Yolov7TinyConfig
from sanderling.models.features import FeatureSpec
from sanderling.models.heads.class_rows import ClassRows
from sanderling.models.heads.distribution import DistributionHeadConfig
from sanderling.models.heads.fcos import FcosHeadConfig
from sanderling.models.heads.ssd import SsdHeadConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.bifpn import BiFpnConfig
from sanderling.models.necks.fpn import FpnConfig
from sanderling.models.necks.ghost_pan import GhostPanConfig
from sanderling.models.necks.pan import PanConfig
from sanderling.models.necks.ppyolo_fpn import PpyoloFpnConfig
from sanderling.models.necks.ppyolo_pan import PpyoloPanConfig
from sanderling.models.necks.ppyolo_tiny_fpn import PpyoloTinyFpnConfig
from sanderling.models.necks.rfcr import RfcrConfig
from sanderling.models.necks.row import NeckRow
from sanderling.models.necks.separable_top_down import SeparableTopDownConfig
from sanderling.models.necks.ssd_extras import SsdExtrasConfig
from sanderling.models.necks.tan import TanConfig
from sanderling.models.necks.tiny_pan import TinyPanConfig
from sanderling.models.necks.tiny_prn import TinyPrnConfig
from sanderling.models.necks.tiny_yolo import TinyYoloNeckConfig
from sanderling.models.necks.yolor_fpn import YolorFpnConfig
from sanderling.models.necks.yolor_pan import YolorPanConfig
from sanderling.models.necks.yoloret import YoloretNeckConfig
from sanderling.models.necks.yolov3_fpn import Yolov3FpnConfig
from sanderling.models.necks.yolov7_tiny_pan import Yolov7TinyPanConfig
from sanderling.structures.artefact import PictureRule, PostprocessRule
from sanderling.structures.predictions import Predictions

BackboneConfig = Annotated[
    CspDarknetConfig
    | CspResNetConfig
    | CspTinyConfig
    | CustomCspConfig
    | DenseNetConfig
    | EfficientNetConfig
    | EfficientNetLiteConfig
    | LinearBottlenecksConfig
    | MobileDetConfig
    | MobileNetV1Config
    | MobileNetV2Config
    | MobileNetV3Config
    | PlainResNetConfig
    | RepVggConfig
    | ResNetConfig
    | ShuffleNetV2Config
    | TimmConfig
    | TinyDarknetConfig
    | VoVNetConfig
    | YolorElanConfig
    | Yolov7TinyConfig,
    Field(discriminator="kind"),
]
SingleNeckConfig = Annotated[
    BiFpnConfig
    | FpnConfig
    | GhostPanConfig
    | PanConfig
    | PpyoloFpnConfig
    | PpyoloPanConfig
    | PpyoloTinyFpnConfig
    | RfcrConfig
    | SeparableTopDownConfig
    | SsdExtrasConfig
    | TanConfig
    | TinyPanConfig
    | TinyPrnConfig
    | TinyYoloNeckConfig
    | YoloretNeckConfig
    | YolorFpnConfig
    | YolorPanConfig
    | Yolov3FpnConfig
    | Yolov7TinyPanConfig,
    Field(discriminator="kind"),
]
HeadConfig = Annotated[
    DistributionHeadConfig | FcosHeadConfig | SsdHeadConfig | YoloHeadConfig,
    Field(discriminator="kind"),
]
AuxiliaryConfig = GuidanceConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class NeckRowConfig:
    """Two necks in a row, for example RFCR and a pyramid."""

    kind: Literal["row"] = "row"
    first: SingleNeckConfig
    then: SingleNeckConfig

    def build(self, features: FeatureSpec) -> NeckRow:
        """Make the first neck for a backbone's features and the second one for the first one's.

        Raises:
            ModelError: one of them gets levels that it cannot take.
        """
        first = self.first.build(features)
        then = self.then.build(first.features)
        return NeckRow(first, then, features=then.features)


NeckConfig = Annotated[NeckRowConfig | SingleNeckConfig, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalisation:
    """Mean and standard deviation per channel, RGB, in units of 0..255."""

    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorConfig:
    """Everything that makes a detector: parts, classes and how pictures come in. Networks are RGB."""

    name: str
    backbone: BackboneConfig
    neck: NeckConfig
    head: HeadConfig
    class_names: tuple[str, ...]
    auxiliary: AuxiliaryConfig | None = None
    """A module that only teaches; the training task builds and runs it, and it does not ship."""
    normalisation: Normalisation = Normalisation()
    picture: PictureRule = field(default_factory=PictureRule)
    postprocess: PostprocessRule = field(default_factory=PostprocessRule)

    def build(self) -> DetectorNetwork:
        """Make the network with freshly drawn weights.

        Raises:
            ModelError: no classes, or an input size that is no multiple of the largest stride.
        """
        if not self.class_names:
            raise ModelError(f"{self.name}: class_names is empty; a detector needs at least one class")
        network = DetectorNetwork(self)
        network.check_size(self.picture.size_hw)
        return network

    def merged(self) -> DetectorConfig:
        """The detector as it ships: branches that only training needs are merged into one convolution."""
        if isinstance(self.backbone, RepVggConfig):
            return dataclasses.replace(self, backbone=dataclasses.replace(self.backbone, deployed=True))
        return self

    @property
    def width_by_classes(self) -> str | None:
        """Key of a width of the neck that follows the number of classes, so that weights fit that number only."""
        parts = {"neck": self.neck}
        if isinstance(self.neck, NeckRowConfig):
            parts = {"neck.first": self.neck.first, "neck.then": self.neck.then}
        keys = [key for key, part in parts.items() if isinstance(part, YoloretNeckConfig) and part.width == "classes"]
        return f"{keys[0]}.width" if keys else None

    def with_classes(self, class_names: Sequence[str]) -> DetectorConfig:
        """The same detector for other classes."""
        return dataclasses.replace(self, class_names=tuple(class_names))

    def with_picture(self, **changes: object) -> DetectorConfig:
        """The same detector with another input size, resize rule or border."""
        return dataclasses.replace(self, picture=dataclasses.replace(self.picture, **changes))  # type: ignore[arg-type]


class Features(NamedTuple):
    """What a network sees in a batch, finest map first: for its head, and for modules that only teach."""

    backbone: list[Tensor]
    neck: list[Tensor]
    size_hw: tuple[int, int]
    """Height and width of the network input."""


class DetectorNetwork(nn.Module):
    """Normalise, backbone, neck, head. `model(images)` is `model.predict(model.features(images))` in every mode."""

    scale: Tensor
    shift: Tensor

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = config.backbone.build()
        self.neck = _for_classes(config.neck, len(config.class_names)).build(self.backbone.features)
        self.head = config.head.build(self.neck.features, len(config.class_names))
        mean, std = torch.tensor(config.normalisation.mean), torch.tensor(config.normalisation.std)
        self.register_buffer("scale", (1 / std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", (-mean / std).view(1, 3, 1, 1), persistent=False)

    @property
    def stride(self) -> int:
        """Input sides are multiples of this: the backbone's largest stride, as levels that a neck adds round up."""
        return max(self.backbone.features.strides)

    def class_rows(self) -> Mapping[str, ClassRows]:
        """The outputs whose shape depends on the classes, by name of module or parameter."""
        return {f"head.{name}": rows for name, rows in self.head.class_rows.items()}

    def features(self, images: Tensor) -> Features:
        """Images (B, 3, H, W), uint8 or float 0..255 RGB, to the maps of backbone and neck.

        Raises:
            ModelError: H or W is no multiple of the largest stride.
        """
        size_hw = (int(images.shape[-2]), int(images.shape[-1]))
        self.check_size(size_hw)
        maps = self.backbone(self._normalise(images))
        return Features(maps, self.neck(maps), size_hw)

    def predict(self, features: Features) -> Predictions:
        """The neck's maps to predictions."""
        return self.head(features.neck, features.size_hw)

    def forward(self, images: Tensor) -> Predictions:
        """Images (B, 3, H, W), uint8 or float 0..255 RGB, to predictions."""
        return self.predict(self.features(images))

    def _normalise(self, images: Tensor) -> Tensor:
        if images.is_contiguous(memory_format=torch.channels_last) and not torch.compiler.is_compiling():
            # The same numbers by rows of pixels, because loops over three channels are far too short to be fast.
            width = images.shape[-1]
            scale, shift = (values.flatten().repeat(width) for values in (self.scale, self.shift))
            rows = (images.permute(0, 2, 3, 1).flatten(2).to(scale.dtype) * scale).add_(shift)
            return rows.unflatten(2, (width, -1)).permute(0, 3, 1, 2)
        return (images.to(self.scale.dtype) * self.scale).add_(self.shift)

    def check_size(self, size_hw: tuple[int, int]) -> None:
        """Refuse an input size that the strides do not divide."""
        if size_hw[0] % self.stride or size_hw[1] % self.stride or min(size_hw) <= 0:
            near = tuple(max(1, round(side / self.stride)) * self.stride for side in size_hw)
            raise ModelError(
                f"{self.config.name}: input size {size_hw[0]}x{size_hw[1]} (height x width) is no multiple of the "
                f"stride {self.stride}; use for example {near[0]}x{near[1]}"
            )


def _for_classes(neck: NeckConfig, classes: int) -> NeckConfig:
    """The neck with a number where its width follows the classes."""
    if isinstance(neck, NeckRowConfig):
        return dataclasses.replace(neck, first=_for_classes(neck.first, classes), then=_for_classes(neck.then, classes))  # type: ignore[arg-type]
    return neck.for_classes(classes) if isinstance(neck, YoloretNeckConfig) else neck
