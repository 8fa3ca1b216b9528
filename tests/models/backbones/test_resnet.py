from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.backbones.resnet import ResNetConfig
from sanderling.models.layers.deformable import DeformableConv

ALL = (4, 8, 16, 32)


def _named(name: str) -> nn.Module:
    if name.endswith("d"):
        return timm.create_model(name)
    return getattr(torchvision.models, name)(weights=None)


def _maps(theirs: nn.Module, x: Tensor) -> list[Tensor]:
    first = theirs.get_submodule("relu" if hasattr(theirs, "relu") else "act1")
    x = theirs.get_submodule("maxpool")(first(theirs.get_submodule("bn1")(theirs.get_submodule("conv1")(x))))
    found = []
    for index in range(1, 5):
        x = theirs.get_submodule(f"layer{index}")(x)
        found.append(x)
    return found


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (ResNetConfig(depth=18, variant="b", strides=ALL), "resnet18"),
        (ResNetConfig(depth=50, variant="b", strides=ALL), "resnet50"),
        (ResNetConfig(depth=18, variant="d", strides=ALL), "resnet18d"),
        (ResNetConfig(depth=50, variant="d", strides=ALL), "resnet50d"),
    ],
)
def test_it_is_the_network_that_has_imagenet_weights(config: ResNetConfig, name: str) -> None:
    theirs, ours = _named(name).eval(), config.build().eval()
    ours.load_state_dict({key: value for key, value in theirs.state_dict().items() if not key.startswith("fc.")})
    images = torch.randn(1, 3, 75, 101)
    with torch.no_grad():
        for found, expected in zip(ours(images), _maps(theirs, images), strict=True):
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("variant", "strides"), [("a", (2, 1)), ("b", (1, 2)), ("c", (1, 2)), ("d", (1, 2))])
def test_the_letter_says_where_the_stride_is(variant: str, strides: tuple[int, int]) -> None:
    config = ResNetConfig(depth=50, variant=variant, width=8)  # type: ignore[arg-type]
    first = config.build().get_submodule("layer2.0")
    found = [first.get_submodule(name).stride[0] for name in ("conv1", "conv2")]  # type: ignore[index]
    assert tuple(found) == strides
    shortcut = [type(module) for module in first.get_submodule("downsample")]  # type: ignore[attr-defined]
    assert shortcut == ([nn.AvgPool2d] if variant == "d" else []) + [nn.Conv2d, nn.BatchNorm2d]


def test_parts_of_ppyolos_backbone_have_the_published_parameters() -> None:
    with torch.device("meta"):
        network = ResNetConfig(depth=50, variant="d", deformable=(32,)).build()
    parts = {name: sum(value.numel() for value in part.parameters()) for name, part in network.named_children()}
    assert parts["conv1"] + parts["bn1"] == 28_768
    assert [parts[f"layer{index}"] for index in range(1, 5)] == [215_808, 1_219_584, 7_098_368, 15_338_065]


def test_paddles_resnet34_has_one_convolution_more() -> None:
    with torch.device("meta"):
        plain, paddles = (ResNetConfig(depth=34, project_first=projects).build() for projects in (False, True))
    more = {key for key in paddles.state_dict() if "num_batches" not in key} - set(plain.state_dict())
    assert {key.rpartition(".")[0] for key in more} == {"layer1.0.downsample.0", "layer1.0.downsample.1"}


@pytest.mark.parametrize(("depth", "blocks"), [(18, (2, 2)), (50, (6, 3))])
def test_only_the_asked_stages_are_deformable(depth: int, blocks: tuple[int, int]) -> None:
    network = ResNetConfig(depth=depth, variant="d", width=8, deformable=(16, 32)).build()  # type: ignore[arg-type]
    found = [key for key, module in network.named_modules() if isinstance(module, DeformableConv)]
    assert found == [f"layer{index + 3}.{block}.conv2" for index in (0, 1) for block in range(blocks[index])]


def test_maps_have_the_promised_shapes_at_an_odd_size() -> None:
    backbone = ResNetConfig(depth=18, variant="d", width=8, strides=(8, 32), deformable=(32,)).build()
    assert backbone.features.channels == (16, 64)
    assert backbone.features.strides == (8, 32)
    maps = backbone(torch.randn(2, 3, 75, 133))
    assert [tuple(x.shape[1:]) for x in maps] == [(16, 10, 17), (64, 3, 5)]


def test_stages_behind_the_last_tap_are_left_out() -> None:
    backbone = ResNetConfig(depth=18, width=8, strides=(4, 8)).build()
    assert [name for name, _ in backbone.named_children() if name.startswith("layer")] == ["layer1", "layer2"]


@pytest.mark.parametrize("strides", [(), (16, 8), (8, 8), (8, 64)])
def test_strides_are_named_finest_first(strides: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"strides = .*: this backbone has maps of strides 4, 8, 16, 32; name"):
        ResNetConfig(strides=strides).build()
