from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sanderling.models.features import FeatureSpec
from sanderling.models.necks.bifpn import BiFpnConfig
from sanderling.models.necks.fpn import FpnConfig
from sanderling.models.necks.ghost_pan import GhostPanConfig
from sanderling.models.necks.pan import PanConfig
from sanderling.models.necks.ppyolo_fpn import PpyoloFpnConfig
from sanderling.models.necks.ppyolo_pan import PpyoloPanConfig
from sanderling.models.necks.ppyolo_tiny_fpn import PpyoloTinyFpnConfig
from sanderling.models.necks.resize import bilinear_like, nearest_like, pooled
from sanderling.models.necks.rfcr import RfcrConfig
from sanderling.models.necks.separable_top_down import SeparableTopDownConfig
from sanderling.models.necks.tan import TanConfig
from sanderling.models.necks.tiny_pan import TinyPanConfig
from sanderling.models.necks.tiny_prn import TinyPrnConfig
from sanderling.models.necks.tiny_yolo import TinyYoloNeckConfig
from sanderling.models.necks.yolor_fpn import YolorFpnConfig
from sanderling.models.necks.yolor_pan import CspBlocks, ElanBlocks, YolorPanConfig
from sanderling.models.necks.yoloret import YoloretNeckConfig
from sanderling.models.necks.yolov3_fpn import Yolov3FpnConfig
from sanderling.models.necks.yolov7_tiny_pan import Yolov7TinyPanConfig
from sanderling.models.network import NeckRowConfig, SingleNeckConfig


@pytest.mark.parametrize(("size", "wanted"), [((4, 3), (7, 5)), ((2, 5), (4, 10)), ((1, 2), (4, 8)), ((1, 2), (2, 3))])
def test_nearest_takes_the_cell_under_each_cell(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    found = nearest_like(x, torch.empty(2, 9, *wanted))
    assert found.shape == (2, 3, *wanted)
    for row in range(wanted[0]):
        for column in range(wanted[1]):
            source = x[..., row * size[0] // wanted[0], column * size[1] // wanted[1]]
            assert torch.equal(found[..., row, column], source)


@pytest.mark.parametrize("factor", [2, 4])
def test_whole_factors_are_plain_nearest(factor: int) -> None:
    x = torch.randn(1, 2, 3, 5)
    like = torch.empty(1, 1, 3 * factor, 5 * factor)
    assert torch.equal(nearest_like(x, like), F.interpolate(x, scale_factor=factor, mode="nearest"))


def test_bilinear_grows_and_shrinks() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 4, 8)
    assert bilinear_like(ramp, torch.empty(1, 1, 3, 4))[0, 0, 0].tolist() == [0.5, 2.5, 4.5, 6.5]
    assert bilinear_like(ramp, torch.empty(1, 1, 7, 16)).shape == (1, 1, 7, 16)


@pytest.mark.parametrize(("size", "factor"), [((6, 4), 2), ((7, 5), 2), ((14, 10), 4), ((7, 4), 4)])
def test_pooling_rounds_sides_up(size: tuple[int, int], factor: int) -> None:
    x = torch.randn(1, 2, *size)
    rows, columns = (-(-side // factor) for side in size)
    found = pooled(x, factor)
    assert found.shape == (1, 2, rows, columns)
    for row in range(rows):
        for column in range(columns):
            square = x[..., row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
            assert torch.equal(found[..., row, column], square.amax((-2, -1)))


_THREE = FeatureSpec((16, 16, 16), (16, 32, 64))
_NECKS: list[tuple[SingleNeckConfig, FeatureSpec]] = [
    (BiFpnConfig(channels=4, repeats=2), _THREE),
    (FpnConfig(channels=4), _THREE),
    (PanConfig(channels=4), _THREE),
    (PpyoloFpnConfig(channels=8, transition=4), _THREE),
    (PpyoloPanConfig(channels=8), _THREE),
    (PpyoloTinyFpnConfig(channels=(4, 4, 4)), _THREE),
    (RfcrConfig(collected=4, mixed=4, stride=32, outputs=(16, 32, 64)), _THREE),
    (RfcrConfig(collected=4, mixed=4, stride=64, outputs=(16, 32, 64)), _THREE),
    (
        SeparableTopDownConfig(coarse_in=4, coarse=(4,), fine=(4,), kernel=3, linear=False, act="relu"),
        FeatureSpec((16, 16), (32, 64)),
    ),
    (TanConfig(channels=8), _THREE),
    (TinyPanConfig(channels=4), _THREE),
    (TinyPrnConfig(width=8), FeatureSpec((16, 16), (32, 64))),
    (TinyYoloNeckConfig(width=16), _THREE),
    (YolorFpnConfig(), _THREE),
    (YolorPanConfig(channels=(4, 4, 8), blocks=CspBlocks(repeats=1)), _THREE),
    (YolorPanConfig(channels=(4, 4, 8), blocks=ElanBlocks()), _THREE),
    (YoloretNeckConfig(path="fpn", width=4, hidden=(4, 4, 4)), _THREE),
    (YoloretNeckConfig(path="pan", width=4, hidden=(4, 4, 4)), _THREE),
    (YoloretNeckConfig(path="bifpn", width=4, hidden=(4, 4, 4)), _THREE),
    (Yolov3FpnConfig(channels=(4, 4, 4)), _THREE),
    (Yolov7TinyPanConfig(width=4), _THREE),
]


@pytest.mark.parametrize(("neck", "features"), _NECKS, ids=lambda value: getattr(value, "kind", None))
def test_every_neck_takes_levels_whose_sides_were_rounded_up(neck: SingleNeckConfig, features: FeatureSpec) -> None:
    maps = [torch.randn(2, 16, -(-208 // stride), -(-352 // stride)) for stride in features.strides]
    found = neck.build(features)(maps)
    assert [x.shape[-2:] for x in found] == [x.shape[-2:] for x in maps]


def test_a_pyramid_stands_behind_a_neck_that_adds_a_level() -> None:
    row = NeckRowConfig(first=GhostPanConfig(channels=8), then=FpnConfig(channels=8))
    neck = row.build(FeatureSpec((4, 4, 4), (8, 16, 32)))
    maps = [torch.randn(2, 4, 224 // stride, 160 // stride) for stride in (8, 16, 32)]
    assert [tuple(x.shape[-2:]) for x in neck(maps)] == [(28, 20), (14, 10), (7, 5), (4, 3)]
