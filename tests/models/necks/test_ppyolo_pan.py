from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.drop_block import DropBlock
from sanderling.models.layers.pyramid_pool import PyramidPool
from sanderling.models.necks.ppyolo_pan import PpyoloPan, PpyoloPanConfig

FEATURES = FeatureSpec((6, 10, 14), (8, 16, 32))


def _small() -> PpyoloPan:
    torch.manual_seed(0)
    return PpyoloPanConfig(channels=16).build(FEATURES)


def _maps() -> list[Tensor]:
    return [torch.randn(2, 6, 12, 20), torch.randn(2, 10, 6, 10), torch.randn(2, 14, 3, 5)]


def test_widths_as_published() -> None:
    with torch.device("meta"):
        neck = PpyoloPanConfig().build(FeatureSpec((512, 1024, 2048), (8, 16, 32)))
    assert neck.features == FeatureSpec((256, 512, 1024), (8, 16, 32))

    def channels(part: nn.Module, name: str) -> tuple[int, int]:
        layer = part.get_submodule(name)
        assert isinstance(layer, ConvNormAct)
        return layer.conv.in_channels, layer.conv.out_channels

    assert [channels(block, "left") for block in neck.down_blocks] == [(2048, 512), (1536, 256), (768, 128)]
    assert [channels(block, "left") for block in neck.up_blocks] == [(768, 256), (1536, 512)]
    assert [channels(block, "join") for block in neck.up_blocks] == [(512, 512), (1024, 1024)]
    transitions = (neck.down_transitions, neck.up_transitions)
    shapes = [[tuple(part.get_parameter("conv.weight").shape) for part in parts] for parts in transitions]
    assert shapes == [[(512, 1024, 1, 1), (256, 512, 1, 1)], [(256, 256, 3, 3), (512, 512, 3, 3)]]


def test_pooling_is_the_second_3x3_of_the_coarsest_level_only() -> None:
    neck = _small()
    names = [name for name, module in neck.named_modules() if isinstance(module, PyramidPool)]
    assert names == ["down_blocks.0.layers.3.0"]
    drops = [name for name, module in neck.named_modules() if isinstance(module, DropBlock)]
    blocks = [*(f"down_blocks.{level}" for level in range(3)), *(f"up_blocks.{level}" for level in range(2))]
    assert drops == [f"{block}.layers.4" for block in blocks]


def test_the_way_down_and_the_way_up() -> None:
    neck, maps = _small().eval(), _maps()

    def block(part: nn.Module, x: Tensor) -> Tensor:
        left, right = part.get_submodule("left")(x), part.get_submodule("right")(x)
        for layer in part.get_submodule("layers").children():
            left = layer(left)
        return part.get_submodule("join")(torch.cat((left, right), 1))

    with torch.no_grad():
        coarse = block(neck.down_blocks[0], maps[2])
        wide = F.interpolate(neck.down_transitions[0](coarse), scale_factor=2)
        middle = block(neck.down_blocks[1], torch.cat((wide, maps[1]), 1))
        wide = F.interpolate(neck.down_transitions[1](middle), scale_factor=2)
        fine = block(neck.down_blocks[2], torch.cat((wide, maps[0]), 1))
        middle = block(neck.up_blocks[0], torch.cat((neck.up_transitions[0](fine), middle), 1))
        coarse = block(neck.up_blocks[1], torch.cat((neck.up_transitions[1](middle), coarse), 1))
        for found, expected in zip(neck(maps), (fine, middle, coarse), strict=True):
            torch.testing.assert_close(found, expected)


def test_every_parameter_learns() -> None:
    neck = _small()
    found = neck(_maps())
    assert [tuple(x.shape[1:]) for x in found] == [(8, 12, 20), (16, 6, 10), (32, 3, 5)]
    sum(x.square().sum() for x in found).backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in neck.parameters())


def test_levels_must_double() -> None:
    with pytest.raises(ModelError, match=r"'ppyolo_pan': gets levels of stride 8, 32"):
        PpyoloPanConfig().build(FeatureSpec((6, 10), (8, 32)))


def test_a_width_that_halves_to_nothing_is_refused() -> None:
    features = FeatureSpec((4, 4, 4), (8, 16, 32))
    assert PpyoloPanConfig(channels=4).build(features).features.channels == (2, 4, 8)
    with pytest.raises(ModelError, match=r"neck\.channels = 3: is halved 2 times"):
        PpyoloPanConfig(channels=3).build(features)
