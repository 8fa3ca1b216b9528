from __future__ import annotations

import dataclasses

import pytest
import torch

from sanderling import config
from sanderling.errors import ModelError, UsageError
from sanderling.models import zoo
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.bifpn import BiFpnConfig
from sanderling.models.necks.fpn import FpnConfig
from sanderling.models.necks.pan import PanConfig
from sanderling.models.necks.rfcr import RfcrConfig
from sanderling.models.necks.tiny_pan import TinyPanConfig
from sanderling.models.necks.tiny_yolo import TinyYoloNeckConfig
from sanderling.models.network import DetectorConfig, NeckRowConfig, SingleNeckConfig

FEATURES = FeatureSpec((5, 6, 7, 8), (4, 8, 16, 32))
MAPS = [torch.randn(1, 5, 24, 40), torch.randn(1, 6, 12, 20), torch.randn(1, 7, 6, 10), torch.randn(1, 8, 3, 5)]
RFCR = RfcrConfig(collected=4, mixed=9)


@pytest.mark.parametrize(
    "then",
    [
        BiFpnConfig(channels=6),
        FpnConfig(channels=6),
        PanConfig(channels=6),
        RFCR,
        TinyPanConfig(channels=6),
        TinyYoloNeckConfig(width=24),
    ],
)
def test_the_second_neck_works_on_what_the_first_hands_on(then: SingleNeckConfig) -> None:
    neck = NeckRowConfig(first=RFCR, then=then).build(FEATURES).eval()
    assert neck.first.features == FeatureSpec((15, 16, 17), (8, 16, 32))
    assert neck.features == neck.then.features
    found = neck(MAPS)
    for x, expected in zip(found, neck.then(neck.first(MAPS)), strict=True):
        torch.testing.assert_close(x, expected)
    assert [tuple(x.shape[1:]) for x in found] == [
        (width, 96 // stride, 160 // stride)
        for width, stride in zip(neck.features.channels, neck.features.strides, strict=True)
    ]


def test_levels_that_one_of_them_cannot_take_are_refused() -> None:
    with pytest.raises(ModelError, match=r"neck\.outputs"):
        NeckRowConfig(first=RfcrConfig(outputs=(64,)), then=FpnConfig()).build(FEATURES)
    with pytest.raises(ModelError, match="'fpn': gets levels of stride 16"):
        NeckRowConfig(first=RfcrConfig(outputs=(16,)), then=FpnConfig()).build(FEATURES)


def test_a_row_survives_yaml_and_its_parts_are_set_by_name() -> None:
    chosen = dataclasses.replace(
        zoo.config("nanodet-debug", ("a", "b")),
        neck=NeckRowConfig(first=RfcrConfig(outputs=(8, 16, 32)), then=TinyPanConfig(channels=48)),
    )
    read = config.parse(DetectorConfig, config.load_yaml(config.dump(chosen), source="test"))
    assert read == chosen
    assert hash(read) == hash(chosen)
    changed = config.override(chosen, ["neck.first.kernel=7", "neck.then.kind=fpn", "neck.then.channels=32"])
    assert changed.neck == NeckRowConfig(first=RfcrConfig(kernel=7), then=FpnConfig(channels=32))
    with pytest.raises(UsageError, match=r"neck\.then\.widht.*channels|unknown key 'neck\.then\.widht'"):
        config.override(chosen, ["neck.then.widht=3"])
    with pytest.raises(UsageError, match=r"neck\.then\.kind = 'row'"):
        config.override(chosen, ["neck.then.kind=row"])


def test_every_setting_of_a_row_is_explained() -> None:
    keys = {setting.key for setting in config.explain(DetectorConfig)}
    assert any(key.endswith("first[rfcr].collected") for key in keys)
    assert any(key.endswith("then[yoloret].width") for key in keys)
