from __future__ import annotations

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.backbones.timm_features import TimmConfig


@pytest.mark.parametrize("strides", [(8, 16, 32), (4, 32), (32,)])
def test_maps_are_those_that_are_promised(strides: tuple[int, ...]) -> None:
    backbone = TimmConfig(model="test_efficientnet", strides=strides).build()
    maps = backbone(torch.rand(2, 3, 96, 160))
    assert backbone.features.strides == strides
    shapes = [
        (2, channels, 96 // stride, 160 // stride)
        for channels, stride in zip(backbone.features.channels, strides, strict=True)
    ]
    assert [tuple(x.shape) for x in maps] == shapes


def test_every_parameter_gets_a_gradient() -> None:
    backbone = TimmConfig(model="lcnet_035").build()
    torch.stack([x.square().mean() for x in backbone(torch.rand(2, 3, 64, 96))]).sum().backward()
    assert [name for name, parameter in backbone.named_parameters() if parameter.grad is None] == []


def test_it_is_built_on_the_meta_device() -> None:
    with torch.device("meta"):
        backbone = TimmConfig(model="lcnet_035").build()
    assert all(parameter.is_meta for parameter in backbone.parameters())


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        ModelError, match=r"backbone\.model = 'mobilenetv3_smal_050'.*did you mean 'mobilenetv3_small_050'"
    ):
        TimmConfig(model="mobilenetv3_smal_050").build()
    with pytest.raises(ModelError, match=r"timm knows no such model; timm\.list_models\(\) lists all"):
        TimmConfig(model="qqqqqqqq").build()


@pytest.mark.parametrize("strides", [(), (16, 8, 32), (8, 8, 32), (8, 64), (3, 32)])
def test_strides_that_cannot_be_name_those_that_can(strides: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"test_efficientnet has maps of strides 2, 4, 8, 16, 32; name some of them"):
        TimmConfig(model="test_efficientnet", strides=strides).build()
    with pytest.raises(ModelError, match=r"\(8, 16\): test_efficientnet runs to its map of stride 32; name that as"):
        TimmConfig(model="test_efficientnet", strides=(8, 16)).build()


def test_models_without_maps_of_strides_are_refused() -> None:
    with pytest.raises(ModelError, match=r"swin_tiny_patch4_window7_224.*channels last"):
        TimmConfig(model="swin_tiny_patch4_window7_224").build()
    with pytest.raises(ModelError, match=r"vit_tiny_patch16_224 has maps of strides 16, 16, 16"):
        TimmConfig(model="vit_tiny_patch16_224").build()
