from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from sanderling import config
from sanderling.errors import ModelError, UsageError
from sanderling.models.backbones.mobiledet import (
    MOBILEDET_CPU,
    MOBILEDET_DSP,
    MOBILEDET_EDGETPU,
    MOBILEDET_GPU,
    MobileDetConfig,
)
from sanderling.models.layers.fused_inverted_bottleneck import FusedIbn
from sanderling.models.layers.inverted_bottleneck import Ibn
from sanderling.models.layers.tucker import Tucker

PUBLISHED = {"cpu": MOBILEDET_CPU, "dsp": MOBILEDET_DSP, "edgetpu": MOBILEDET_EDGETPU, "gpu": MOBILEDET_GPU}
SMALL = MobileDetConfig(
    stem=8,
    stages=((Ibn(channels=8, expansion=1),), (FusedIbn(channels=16, stride=2, expansion=2), Tucker(channels=24))),
    strides=(2, 4),
)


@pytest.mark.parametrize(
    ("name", "channels", "parameters"),
    [
        ("cpu", (72, 144), 3_006_440),
        ("dsp", (144, 240), 5_839_952),
        ("edgetpu", (96, 384), 2_777_040),
        ("gpu", (128, 384), 11_689_920),
    ],
)
def test_the_published_backbones(name: str, channels: tuple[int, int], parameters: int) -> None:
    with torch.device("meta"):
        backbone = PUBLISHED[name].build()
    assert (backbone.features.channels, backbone.features.strides) == (channels, (16, 32))
    assert sum(parameter.numel() for parameter in backbone.parameters()) == parameters
    with torch.device("meta"):
        maps = backbone(torch.zeros(1, 3, 75, 133))
    assert [tuple(x.shape[1:]) for x in maps] == [(channels[0], 5, 9), (channels[1], 3, 5)]


@pytest.mark.parametrize("name", PUBLISHED)
def test_stages_begin_without_a_residual_and_go_on_with_one(name: str) -> None:
    for number, stage in enumerate(PUBLISHED[name].stages):
        assert [block.stride for block in stage[1:]] == [1] * (len(stage) - 1)
        added = [block.residual for block in stage]
        # C4 is two stages of the search in one; C5 ends with a wider block.
        assert added == {
            3: [False, True, True, True, False, True, True, True],
            4: [False, True, True, True, False],
        }.get(number, [False] + [True] * (len(stage) - 1))


def test_swish_and_squeeze_are_the_processors() -> None:
    with torch.device("meta"):
        kinds = {name: {type(module) for module in made.build().modules()} for name, made in PUBLISHED.items()}
    assert nn.Hardswish in kinds["cpu"]
    assert nn.ReLU6 not in kinds["cpu"]
    for name in ("dsp", "edgetpu", "gpu"):
        assert nn.Hardswish not in kinds[name]
    assert MOBILEDET_CPU.squeeze_ratio == 0.25
    assert [made.squeeze_ratio for made in PUBLISHED.values() if made is not MOBILEDET_CPU] == [0, 0, 0]


def test_width_scales_stem_and_blocks() -> None:
    with torch.device("meta"):
        half = dataclasses.replace(MOBILEDET_CPU, width=0.5, strides=(2, 4, 8, 16, 32)).build()
    # 16, 8, 16, 32, 72 and 144 halved to multiples of eight, halves up, never below eight.
    assert half.features.channels == (8, 8, 16, 40, 72)
    assert half.state_dict()["stride2.0.conv.weight"].shape == (8, 3, 3, 3)


def test_maps_of_any_stride_are_handed_on() -> None:
    backbone = SMALL.build().eval()
    maps = backbone(torch.randn(1, 3, 10, 14))
    assert [tuple(x.shape) for x in maps] == [(1, 8, 5, 7), (1, 24, 3, 4)]
    with pytest.raises(ModelError, match="strides"):
        dataclasses.replace(SMALL, strides=(8,)).build()


def test_weights_start_with_hes_deviation_for_every_kind_of_kernel() -> None:
    torch.manual_seed(0)
    backbone = dataclasses.replace(SMALL, stem=256, stages=((Ibn(channels=256, expansion=2),),), strides=(2,)).build()
    # Of the stem, the expansion, the depthwise kernel and the projection.
    inputs = [27, 256, 9, 512]
    convs = [module for module in backbone.modules() if isinstance(module, nn.Conv2d)]
    assert len(convs) == len(inputs)
    for conv, fan_in in zip(convs, inputs, strict=True):
        assert float(conv.weight.detach().std()) == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)


def test_blocks_are_values_that_a_file_holds() -> None:
    read = config.parse(MobileDetConfig, config.load_yaml(config.dump(MOBILEDET_DSP), source="test"))
    assert read == MOBILEDET_DSP
    with pytest.raises(UsageError, match=r"kernel = 4"):
        config.parse(MobileDetConfig, {"stages": [[{"kind": "ibn", "channels": 8, "kernel": 4}]]})
