"""A detector as a value (`DetectorConfig`) and as a network (`DetectorNetwork`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.backbones.shufflenet_v2 import ShuffleNetV2Config
from sanderling.models.heads.class_rows import ClassRows
from sanderling.models.heads.distribution import DistributionHeadConfig
from sanderling.models.heads.yolo import YoloHeadConfig
from sanderling.models.necks.tiny_pan import TinyPanConfig
from sanderling.structures.artefact import PictureRule, PostprocessRule
from sanderling.structures.predictions import Predictions

BackboneConfig = ShuffleNetV2Config
NeckConfig = TinyPanConfig
HeadConfig = Annotated[DistributionHeadConfig | YoloHeadConfig, Field(discriminator="kind")]


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
        self.neck = config.neck.build(self.backbone.features)
        self.head = config.head.build(self.neck.features, len(config.class_names))
        mean, std = torch.tensor(config.normalisation.mean), torch.tensor(config.normalisation.std)
        self.register_buffer("scale", (1 / std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", (-mean / std).view(1, 3, 1, 1), persistent=False)

    @property
    def stride(self) -> int:
        """Input sides are multiples of this."""
        return max(*self.backbone.features.strides, *self.neck.features.strides)

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
