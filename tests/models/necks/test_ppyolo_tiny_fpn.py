from __future__ import annotations

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.drop_block import DropBlock
from sanderling.models.necks.ppyolo_tiny_fpn import PpyoloTinyFpnConfig

TAPS = FeatureSpec((24, 56, 80), (8, 16, 32))


def test_layer_by_layer_as_published() -> None:
    neck = PpyoloTinyFpnConfig().build(TAPS)
    assert neck.features == FeatureSpec((96, 128, 160), (8, 16, 32))
    for block, (channels_in, width) in zip(neck.blocks, [(80, 160), (216, 128), (152, 96)], strict=True):
        drop, *convs = block.get_submodule("route").children()
        assert isinstance(drop, DropBlock)
        found = []
        for layer in [*convs, block.get_submodule("tip")]:
            assert isinstance(layer, ConvNormAct)
            conv = layer.conv
            found.append((conv.kernel_size[0], conv.in_channels, conv.out_channels, conv.groups))
        assert found == [
            (1, channels_in, width, 1),
            (5, width, width, width),
            (1, width, width, 1),
            (5, width, width, width),
            (1, width, width, 1),
        ]
    pool = neck.get_submodule("pool.1")
    assert isinstance(pool, ConvNormAct)
    assert pool.conv.weight.shape == (80, 320, 1, 1)
    assert [part.get_parameter("conv.weight").shape[:2] for part in neck.transitions] == [(160, 160), (128, 128)]


def test_maps_keep_their_sizes_and_every_parameter_learns() -> None:
    torch.manual_seed(0)
    neck = PpyoloTinyFpnConfig(channels=(8, 12, 16)).build(FeatureSpec((6, 10, 14), (8, 16, 32)))
    found = neck([torch.randn(2, 6, 12, 20), torch.randn(2, 10, 6, 10), torch.randn(2, 14, 3, 5)])
    assert [tuple(x.shape[1:]) for x in found] == [(8, 12, 20), (12, 6, 10), (16, 3, 5)]
    sum(x.square().sum() for x in found).backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in neck.parameters())


def test_switches_leave_pooling_and_drop_block_out() -> None:
    neck = PpyoloTinyFpnConfig(pyramid_pool=False, drop_block=False).build(TAPS).eval()
    assert not any(isinstance(module, DropBlock) for module in neck.modules())
    assert list(neck.get_submodule("pool").parameters()) == []


def test_one_width_for_each_level() -> None:
    with pytest.raises(ModelError, match=r"neck.channels = \(96, 128, 160\): 3 widths for 2 levels"):
        PpyoloTinyFpnConfig().build(FeatureSpec((56, 80), (16, 32)))


def test_levels_must_double() -> None:
    with pytest.raises(ModelError, match=r"'ppyolo_tiny_fpn': gets levels of stride 8, 32"):
        PpyoloTinyFpnConfig(channels=(8, 8)).build(FeatureSpec((56, 80), (8, 32)))
