from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from sanderling.errors import ModelError
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.conv import ConvNormAct
from sanderling.models.layers.coord_conv import CoordConv
from sanderling.models.layers.drop_block import DropBlock
from sanderling.models.necks.ppyolo_fpn import PpyoloFpnConfig
from sanderling.models.necks.yolov3_fpn import Yolov3FpnConfig
from tests.support.layer_by_layer import copy_in_order

RESNET50 = FeatureSpec((512, 1024, 2048), (8, 16, 32))
FULL = PpyoloFpnConfig(coordinates="symmetric", pyramid_pool=True, drop_block=True)
SMALL = dataclasses.replace(FULL, channels=16, transition=8)
SMALL_FEATURES = FeatureSpec((6, 10, 14), (8, 16, 32))


def _layers(block: nn.Module) -> list[str]:
    """Kernel, inputs and outputs of every convolution in order, `coord` where it sees places, and what lies between."""
    found = []
    for layer in [*block.get_submodule("route").children(), block.get_submodule("tip")]:
        if isinstance(layer, DropBlock):
            found.append("drop")
        elif isinstance(layer, ConvNormAct | CoordConv):
            inner = layer.block if isinstance(layer, CoordConv) else layer
            conv = inner.conv
            coord = "coord " if isinstance(layer, CoordConv) else ""
            found.append(f"{coord}{conv.kernel_size[0]}: {conv.in_channels} {conv.out_channels}")
        else:
            found.append(f"pool: {layer[1].conv.in_channels} {layer[1].conv.out_channels}")  # type: ignore[index]
    return found


def test_layer_by_layer_as_published() -> None:
    with torch.device("meta"):
        neck = FULL.build(RESNET50)
    assert [_layers(block) for block in neck.blocks] == [
        [
            "coord 1: 2050 512",
            "3: 512 1024",
            "coord 1: 1026 512",
            "pool: 2048 512",
            "3: 512 1024",
            "drop",
            "coord 1: 1026 512",
            "coord 3: 514 1024",
        ],
        [
            "coord 1: 1282 256",
            "3: 256 512",
            "drop",
            "coord 1: 514 256",
            "3: 256 512",
            "coord 1: 514 256",
            "coord 3: 258 512",
        ],
        [
            "coord 1: 642 128",
            "3: 128 256",
            "drop",
            "coord 1: 258 128",
            "3: 128 256",
            "coord 1: 258 128",
            "coord 3: 130 256",
        ],
    ]
    counts = [sum(value.numel() for value in part.parameters()) for part in [*neck.blocks, *neck.transitions]]
    assert counts == [17_333_248, 4_144_128, 1_039_872, 131_584, 33_024]


def test_the_light_ones_have_two_levels_and_no_pairs() -> None:
    config = dataclasses.replace(FULL, channels=256, pairs=0)
    neck = config.build(FeatureSpec((112, 160), (16, 32)))
    assert [_layers(block) for block in neck.blocks] == [
        ["pool: 640 160", "drop", "coord 1: 162 256", "coord 3: 258 512"],
        ["drop", "coord 1: 370 128", "coord 3: 130 256"],
    ]
    assert neck.features == FeatureSpec((256, 512), (16, 32))


def test_with_all_switches_off_it_is_yolov3s() -> None:
    ours = PpyoloFpnConfig(channels=16, transition=8).build(SMALL_FEATURES).eval()
    theirs = Yolov3FpnConfig(channels=(4, 8, 16)).build(SMALL_FEATURES).eval()
    assert ours.features == theirs.features
    copy_in_order(ours, theirs)
    maps = [torch.randn(2, 6, 12, 20), torch.randn(2, 10, 6, 10), torch.randn(2, 14, 3, 5)]
    for found, expected in zip(ours(maps), theirs(maps), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("pairs", [0, 2])
def test_maps_keep_their_sizes_and_every_parameter_learns(pairs: int) -> None:
    torch.manual_seed(0)
    neck = dataclasses.replace(SMALL, pairs=pairs).build(SMALL_FEATURES)  # type: ignore[arg-type]
    found = neck([torch.randn(2, 6, 12, 20), torch.randn(2, 10, 6, 10), torch.randn(2, 14, 3, 5)])
    assert [tuple(x.shape[1:]) for x in found] == [(8, 12, 20), (16, 6, 10), (32, 3, 5)]
    assert neck.features == FeatureSpec((8, 16, 32), (8, 16, 32))
    sum(x.square().sum() for x in found).backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in neck.parameters())


def test_drop_block_has_the_chosen_size_and_share() -> None:
    neck = dataclasses.replace(SMALL, drop_block_size=5, keep=0.8).build(SMALL_FEATURES)
    drops = [module for module in neck.modules() if isinstance(module, DropBlock)]
    assert [(drop.block, drop.keep) for drop in drops] == [(5, 0.8)] * 3


def test_levels_must_double() -> None:
    with pytest.raises(ModelError, match=r"'ppyolo_fpn': gets levels of stride 8, 32"):
        FULL.build(FeatureSpec((6, 10), (8, 32)))


def test_widths_that_halve_to_nothing_are_refused() -> None:
    features = FeatureSpec((4, 4, 4), (8, 16, 32))
    assert PpyoloFpnConfig(channels=4, transition=2).build(features).features.channels == (2, 4, 8)
    with pytest.raises(ModelError, match=r"neck\.channels = 3: is halved 2 times"):
        PpyoloFpnConfig(channels=3, transition=2).build(features)
    with pytest.raises(ModelError, match=r"neck\.transition = 1: is halved 1 times"):
        PpyoloFpnConfig(channels=4, transition=1).build(features)
