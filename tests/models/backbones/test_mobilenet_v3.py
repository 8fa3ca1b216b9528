from __future__ import annotations

from typing import Literal

import pytest
import torch
import torchvision
from torch import Tensor, nn

from sanderling.errors import ModelError
from sanderling.models.backbones.mobilenet_v3 import MobileNetV3Config
from sanderling.models.layers.inverted_residual import InvertedResidual
from sanderling.models.layers.squeeze_excite import SqueezeExcite
from tests.support.layer_by_layer import maps_after


def _copy(theirs: nn.Module, ours: nn.Module) -> None:
    """Both hold the same tensors in the same order."""
    values = list(theirs.state_dict().values())
    names = list(ours.state_dict())
    ours.load_state_dict(dict(zip(names, values, strict=False)), strict=False)
    assert [value.shape for value in ours.state_dict().values()] == [value.shape for value in values[: len(names)]]


def _torchvisions(name: str, *, reduced: bool = False) -> nn.Sequential:
    network: nn.Module = getattr(torchvision.models, name)(weights=None, reduced_tail=reduced)
    features = network.get_submodule("features").eval()
    assert isinstance(features, nn.Sequential)
    return features


@pytest.mark.parametrize(
    ("name", "config", "taps"),
    [
        ("mobilenet_v3_large", MobileNetV3Config(size="large"), (6, 12, 15)),
        ("mobilenet_v3_small", MobileNetV3Config(size="small"), (3, 8, 11)),
    ],
)
def test_it_is_torchvisions_network(name: str, config: MobileNetV3Config, taps: tuple[int, ...]) -> None:
    theirs, ours = _torchvisions(name), config.build().eval()
    _copy(theirs, ours)
    images = torch.randn(1, 3, 75, 101)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), maps_after(theirs, images, after=taps), rtol=1e-4, atol=1e-5)


def test_ssdlites_taps_are_an_expansion_and_the_last_convolution() -> None:
    theirs = _torchvisions("mobilenet_v3_large", reduced=True)
    config = MobileNetV3Config(tap="expansion", last_conv=True, reduced_tail=True, strides=(16, 32))
    ours = config.build().eval()
    assert ours.features.channels == (672, 480)
    _copy(theirs, ours)
    images = torch.randn(1, 3, 96, 64)
    with torch.no_grad():
        inside = theirs[:13](images)
        expansion: Tensor = theirs[13].get_submodule("block.0")(inside)
        found = ours(images)
        torch.testing.assert_close(found[0], expansion, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[1], theirs(images), rtol=1e-4, atol=1e-5)


def test_paddles_form_differs_in_three_places() -> None:
    authors, paddles = (MobileNetV3Config(form=form).build() for form in ("authors", "paddle"))

    def blocks(network: nn.Module) -> list[InvertedResidual]:
        return [module for module in network.modules() if isinstance(module, InvertedResidual)]

    assert blocks(authors)[0].expand is None
    assert blocks(paddles)[0].expand is not None
    assert all(block.expand is not None for block in [*blocks(authors)[1:], *blocks(paddles)])
    squeezes = [
        [module for module in network.modules() if isinstance(module, SqueezeExcite)] for network in (authors, paddles)
    ]
    # A quarter of 72, 120, 480, 672 and 960 channels, rounded to a multiple of eight or not.
    assert [squeeze.reduce.out_channels for squeeze in squeezes[0]] == [24, 32, 32, 120, 168, 168, 240, 240]
    assert [squeeze.reduce.out_channels for squeeze in squeezes[1]] == [18, 30, 30, 120, 168, 168, 240, 240]
    for squeeze, slope in zip((squeezes[0][0], squeezes[1][0]), (1 / 6, 1 / 5), strict=True):
        nn.init.zeros_(squeeze.expand.weight)
        assert squeeze.expand.bias is not None
        nn.init.ones_(squeeze.expand.bias)
        x = torch.randn(1, 72, 3, 5)
        torch.testing.assert_close(squeeze(x), x * (0.5 + slope))


def test_ppyolo_tinys_maps_at_half_the_width() -> None:
    backbone = MobileNetV3Config(width=0.5, form="paddle").build().eval()
    assert backbone.features.channels == (24, 56, 80)
    maps = backbone(torch.randn(1, 3, 75, 133))
    assert [tuple(x.shape[1:]) for x in maps] == [(24, 10, 17), (56, 5, 9), (80, 3, 5)]


@pytest.mark.parametrize("form", ["authors", "paddle"])
def test_the_expansion_that_is_handed_on_is_that_of_the_next_block(form: Literal["authors", "paddle"]) -> None:
    whole = MobileNetV3Config(form=form, strides=(4, 8, 16, 32)).build().eval()
    inside = MobileNetV3Config(form=form, tap="expansion", strides=(4, 8, 16)).build().eval()
    assert inside.features.channels == (72, 240, 672)
    _copy(whole, inside)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        outputs = whole(images)
        for found, output, stride in zip(inside(images), outputs, (8, 16, 32), strict=False):
            expand = whole.get_submodule(f"stride{stride}.0.expand")
            torch.testing.assert_close(found, expand(output))


def test_a_stride_that_is_not_reached() -> None:
    with pytest.raises(ModelError, match=r"backbone.strides = \(8, 64\)"):
        MobileNetV3Config(strides=(8, 64)).build()
