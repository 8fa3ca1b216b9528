from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sanderling import config
from sanderling.errors import ModelError, UsageError
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.yoloret import YoloretNeckConfig, width_of_classes

FEATURES = FeatureSpec((6, 10, 14), (8, 16, 32))
MAPS = [torch.randn(2, 6, 8, 12), torch.randn(2, 10, 4, 6), torch.randn(2, 14, 2, 3)]
HIDDEN = (8, 12, 16)


def _neck(path: Literal["none", "fpn", "pan", "bifpn"], repeats: int = 1) -> Any:
    torch.manual_seed(0)
    return YoloretNeckConfig(path=path, repeats=repeats, width=5, hidden=HIDDEN).build(FEATURES).eval()


def _double(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def _join(*maps: Tensor) -> Tensor:
    return torch.cat(maps, 1)


def test_without_links_every_level_stays_alone() -> None:
    neck = _neck("none")
    for found, block, x in zip(neck(MAPS), neck.parts[0].blocks, MAPS, strict=True):
        torch.testing.assert_close(found, block(x))


def test_top_down_then_bottom_up_as_in_the_authors_code() -> None:
    neck = _neck("pan")
    down, up = neck.parts
    coarse = down.blocks[2](MAPS[2])
    middle = down.blocks[1](_join(_double(down.links[1](coarse)), MAPS[1]))
    fine = down.blocks[0](_join(_double(down.links[0](middle)), MAPS[0]))
    for found, expected in zip(_neck("fpn")(MAPS), (fine, middle, coarse), strict=True):
        torch.testing.assert_close(found, expected)
    fine = up.blocks[0](fine)
    middle = up.blocks[1](_join(F.max_pool2d(up.links[0](fine), 2), middle))
    coarse = up.blocks[2](_join(F.max_pool2d(up.links[1](middle), 2), coarse))
    for found, expected in zip(neck(MAPS), (fine, middle, coarse), strict=True):
        torch.testing.assert_close(found, expected)
    # Links have the channels of the finer level, both ways.
    assert [link.conv.weight.shape[0] for link in (*down.links, *up.links)] == [8, 12, 8, 12]


def test_a_round_of_bifpn_shows_the_middle_level_its_own_map_twice() -> None:
    neck = _neck("bifpn")
    (turn,) = neck.parts
    between = turn.up[1](_join(_double(turn.up_links[1](MAPS[2])), MAPS[1]))
    fine = turn.up[0](_join(_double(turn.up_links[0](between)), MAPS[0]))
    middle = turn.down[0](_join(F.max_pool2d(turn.down_links[0](fine), 2), MAPS[1], between))
    coarse = turn.down[1](_join(F.max_pool2d(turn.down_links[1](middle), 2), MAPS[2]))
    for found, expected in zip(neck(MAPS), (fine, middle, coarse), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_block_by_hand() -> None:
    block = _neck("none").parts[0].blocks[1]
    narrow = 10 * 12 + 2 * 12
    depthwise = 9 * 12 + 2 * 12
    squeeze = 12 * 3 + 3 + 3 * 12 + 12
    project = 12 * 5 + 2 * 5
    assert sum(value.numel() for value in block.parameters()) == narrow + depthwise + squeeze + project
    x = MAPS[1]
    inner = block[0](x)
    assert inner.min() >= 0
    assert (block(x) < 0).any()
    torch.testing.assert_close(block(x), block[1].project(block[1].squeeze(block[1].depthwise(inner))))


@pytest.mark.parametrize(("path", "repeats"), [("none", 1), ("fpn", 1), ("pan", 1), ("bifpn", 1), ("bifpn", 3)])
def test_levels_and_widths_of_every_path(path: Literal["none", "fpn", "pan", "bifpn"], repeats: int) -> None:
    neck = _neck(path, repeats)
    assert neck.features == FeatureSpec((5, 5, 5), (8, 16, 32))
    before = [x.clone() for x in MAPS]
    assert [tuple(x.shape) for x in neck(MAPS)] == [(2, 5, 8, 12), (2, 5, 4, 6), (2, 5, 2, 3)]
    assert all(torch.equal(x, old) for x, old in zip(MAPS, before, strict=True))
    assert len(neck.parts) == {"pan": 2, "bifpn": repeats}.get(path, 1)


def test_two_levels_are_enough() -> None:
    neck = YoloretNeckConfig(path="pan", width=5, hidden=(8, 12)).build(FeatureSpec((6, 10), (16, 32)))
    assert [tuple(x.shape) for x in neck(MAPS[:2])] == [(2, 5, 8, 12), (2, 5, 4, 6)]


def test_the_width_may_follow_the_classes() -> None:
    follows = YoloretNeckConfig(hidden=HIDDEN)
    assert follows.width == "classes"
    assert follows.for_classes(20).build(FEATURES).features.channels == (75, 75, 75)
    assert width_of_classes(80) == 255
    number = YoloretNeckConfig(width=64)
    assert number.for_classes(20) is number


def test_a_width_that_waits_for_the_classes_builds_nothing() -> None:
    with pytest.raises(ModelError, match=r"neck\.width = 'classes'.*for_classes"):
        YoloretNeckConfig().build(FEATURES)


def test_widths_for_other_levels_and_rounds_of_other_paths_are_refused() -> None:
    with pytest.raises(ModelError, match=r"neck\.hidden = \(8, 12\): 2 widths for 3 levels \(strides 8, 16, 32\)"):
        YoloretNeckConfig(hidden=(8, 12), width=5).build(FEATURES)
    with pytest.raises(ModelError, match="'yoloret': gets levels of stride 8, 32"):
        YoloretNeckConfig(width=5).build(FeatureSpec((6, 6), (8, 32)))
    with pytest.raises(UsageError, match="repeats = 2: the path 'pan' runs once"):
        config.parse(YoloretNeckConfig, {"repeats": 2})
    with pytest.raises(UsageError, match="width"):
        config.parse(YoloretNeckConfig, {"width": "outputs"})
