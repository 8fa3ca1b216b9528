from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models import zoo
from sanderling.models.backbones.efficientnet import EfficientNetConfig
from sanderling.models.backbones.efficientnet_lite import EfficientNetLiteConfig
from sanderling.models.backbones.mobilenet_v2 import MobileNetV2Config
from sanderling.models.backbones.mobilenet_v3 import MobileNetV3Config
from sanderling.models.backbones.resnet import ResNetConfig
from sanderling.models.backbones.shufflenet_v2 import ShuffleNetV2Config
from sanderling.models.network import BackboneConfig, DetectorNetwork
from sanderling.models.weights.backbone_names import from_backbone


def _network(backbone: BackboneConfig) -> DetectorNetwork:
    return dataclasses.replace(zoo.config("nanodet-debug", ("a",)), backbone=backbone).build().eval()


def _trained(classifier: nn.Module, *, eps: float) -> nn.Module:
    """A classifier with statistics of its own."""
    draw = torch.Generator().manual_seed(0)
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = eps
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                if tensor is not None:
                    tensor.copy_(torch.rand(tensor.shape, generator=draw) + 0.5)
    return classifier.eval()


def _torchvision(name: str) -> Callable[[], nn.Module]:
    return lambda: torchvision.models.get_model(name, weights=None)


def _timm(name: str) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, pretrained=False)


def _outputs(classifier: nn.Module, images: Tensor) -> list[Tensor]:
    """What the parts of a classifier give."""
    found: list[Tensor] = []

    def ran(_module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            found.append(output.clone())

    for module in classifier.modules():
        module.register_forward_hook(ran)
    with torch.no_grad():
        classifier(images)
    return found


def _same(ours: Tensor, theirs: Tensor) -> bool:
    tolerance = 1e-3 * float(theirs.abs().max())
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-3, atol=tolerance)


@pytest.mark.parametrize(
    ("make", "backbone", "eps"),
    [
        (_torchvision("shufflenet_v2_x1_0"), ShuffleNetV2Config(act="relu"), 1e-5),
        (_torchvision("mobilenet_v2"), MobileNetV2Config(), 1e-3),
        (_torchvision("mobilenet_v3_large"), MobileNetV3Config(size="large"), 1e-3),
        (_torchvision("mobilenet_v3_small"), MobileNetV3Config(size="small"), 1e-3),
        (_torchvision("resnet18"), ResNetConfig(depth=18), 1e-5),
        (_timm("resnet18d"), ResNetConfig(depth=18, variant="d"), 1e-5),
        (_timm("efficientnet_lite0"), EfficientNetLiteConfig(), 1e-3),
        (_timm("efficientnet_b0"), EfficientNetConfig(width=1.0, depth=1.0), 1e-3),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_classifiers_give_the_maps_of_our_backbone(
    make: Callable[[], nn.Module], backbone: BackboneConfig, eps: float
) -> None:
    torch.manual_seed(0)
    classifier, network = _trained(make(), eps=eps), _network(backbone)
    found = from_backbone(classifier.state_dict(), network, source="x.pth")
    ours = {name: tensor for name, tensor in network.state_dict().items() if name.startswith("backbone.")}
    assert {name for name in ours if not name.endswith("num_batches_tracked")} <= found.keys()
    left = found.keys() - ours.keys()
    assert left
    assert not any(name.startswith("backbone.") for name in left)
    network.load_state_dict({name: tensor for name, tensor in found.items() if name in ours}, strict=False)
    images = torch.rand(1, 3, 96, 64)
    with torch.no_grad():
        maps = network.backbone(images)
    outputs = _outputs(classifier, images)
    assert all(any(_same(ours_here, theirs) for theirs in outputs) for ours_here in maps)
    assert float(maps[0].std()) > 0.01


def test_names_of_data_parallel_are_bared() -> None:
    network = _network(ShuffleNetV2Config(stem=8, channels=(16, 32, 64), units=(1, 1, 1)))
    state = {f"module.{name}": tensor for name, tensor in network.backbone.state_dict().items()}
    found = from_backbone(state, network, source="x.pth")
    assert torch.equal(found["backbone.conv1.0.weight"], state["module.conv1.0.weight"])


def test_other_backbones_are_refused_with_the_first_difference() -> None:
    network = _network(ShuffleNetV2Config())
    state = torchvision.models.shufflenet_v2_x0_5(weights=None).state_dict()
    renamed = {f"body.{name}": tensor for name, tensor in state.items()}
    with pytest.raises(
        ModelError,
        match=r"x\.pth: is no backbone of nanodet-debug \(shufflenet_v2\), and no checkpoint of it: "
        r"its body\.stage2\.0\.branch1\.2\.weight is \(24, 24, 1, 1\), "
        r"backbone\.stage2\.0\.branch1\.2\.weight is \(58, 24, 1, 1\)",
    ):
        from_backbone(renamed, network, source="x.pth")


def test_half_a_backbone_is_refused() -> None:
    network = _network(ShuffleNetV2Config())
    state = {f"x.{name}": tensor for name, tensor in list(network.backbone.state_dict().items())[:30]}
    with pytest.raises(ModelError, match=r"it holds 25 tensors, the backbone has \d+"):
        from_backbone(state, network, source="x.pth")
