from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_type_hints

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sanderling.errors import ModelError
from sanderling.models import zoo
from sanderling.models.features import FeatureSpec
from sanderling.models.necks.bifpn import BiFpnConfig
from sanderling.models.necks.pan import PanConfig
from sanderling.models.necks.rfcr import RfcrConfig
from sanderling.models.network import DetectorConfig, NeckRowConfig, SingleNeckConfig
from sanderling.models.zoo.yoloret import yoloret_mobilenetv2

FEATURES = FeatureSpec((5, 6, 7, 8), (4, 8, 16, 32))


def _maps(features: FeatureSpec = FEATURES) -> list[Tensor]:
    torch.manual_seed(0)
    return [
        torch.randn(2, width, 96 // stride, 160 // stride)
        for width, stride in zip(features.channels, features.strides, strict=True)
    ]


def _built(config: RfcrConfig, features: FeatureSpec = FEATURES) -> Any:
    torch.manual_seed(1)
    module = config.build(features).eval()
    for value in module.parameters():
        value.data += 0.3 * torch.randn_like(value)
    return module


def _double(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_four_maps_meet_at_stride_16_and_go_back_beside_three() -> None:
    module = _built(RfcrConfig(collected=4, mixed=9))
    maps = _maps()
    shortcut, fine, middle, coarse = maps
    weights = [conv.weight for conv in module.collect]
    collected = [
        F.conv2d(F.max_pool2d(shortcut, 4), weights[0]),  # pooled first
        F.max_pool2d(F.conv2d(fine, weights[1]), 2),  # and these two resized afterwards
        F.conv2d(middle, weights[2]),
        _double(F.conv2d(coarse, weights[3])),
    ]
    mixed = sum(share * x for share, x in zip(module.shares, collected, strict=True))
    depthwise, pointwise = module.mix
    mixed = depthwise.norm(F.conv2d(mixed, depthwise.conv.weight, padding=2, groups=4)).clamp(0, 6)
    mixed = pointwise.norm(F.conv2d(mixed, pointwise.conv.weight)).clamp(0, 6)
    expected = [
        torch.cat((fine, _double(mixed)), 1),
        torch.cat((middle, mixed), 1),
        torch.cat((coarse, F.max_pool2d(mixed, 2)), 1),
    ]
    for found, wanted in zip(module(maps), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_weights_of_the_sum_start_at_one_and_nothing_has_a_bias() -> None:
    module = RfcrConfig().build(FEATURES)
    assert module.shares.tolist() == [1, 1, 1, 1]
    assert [name for name, _ in module.named_parameters() if name.endswith("conv.bias")] == []
    assert all(conv.bias is None for conv in module.collect)


def test_parameters_of_the_published_sizes() -> None:
    # Sheet on YOLO-ReT, section 3.
    for channels, count in (((24, 24, 72, 120), 17_620), ((32, 48, 136, 224), 27_220), ((32, 48, 136, 232), 27_604)):
        module = RfcrConfig().build(FeatureSpec(channels, (4, 8, 16, 32)))
        assert sum(value.numel() for value in module.parameters()) == count


@pytest.mark.parametrize(
    ("strides", "outputs", "meet"),
    [((4, 8, 16, 32), (16, 32), 16), ((8, 16, 32), (8, 16, 32), 16), ((8, 16), (8, 16), 8), ((4, 8, 16, 32), (4,), 32)],
)
def test_collected_and_handed_on_levels_are_chosen_apart(
    strides: tuple[int, ...], outputs: tuple[int, ...], meet: int
) -> None:
    features = FeatureSpec((5, 6, 7, 8)[: len(strides)], strides)
    module = _built(RfcrConfig(collected=4, mixed=9, stride=meet, outputs=outputs), features)
    widths = dict(zip(strides, features.channels, strict=True))
    assert module.features == FeatureSpec(tuple(widths[stride] + 9 for stride in outputs), outputs)
    maps = _maps(features)
    found = module(maps)
    assert [tuple(x.shape) for x in found] == [
        (2, widths[stride] + 9, 96 // stride, 160 // stride) for stride in outputs
    ]
    for stride, x in zip(outputs, found, strict=True):
        assert torch.equal(x[:, : widths[stride]], maps[strides.index(stride)])


def test_every_output_sees_every_map() -> None:
    module = _built(RfcrConfig(collected=4, mixed=9))
    for level in range(3):
        maps = [x.requires_grad_() for x in _maps()]
        module(maps)[level].square().sum().backward()
        assert all(x.grad is not None and x.grad.any() for x in maps)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (RfcrConfig(outputs=(8, 64)), r"neck\.outputs = \(8, 64\): RFCR gets levels of stride 4, 8, 16, 32"),
        (RfcrConfig(outputs=(16, 8)), r"neck\.outputs = \(16, 8\).*finest first"),
        (RfcrConfig(outputs=()), r"neck\.outputs = \(\)"),
        (RfcrConfig(stride=64), r"neck\.stride = 64: RFCR gets levels of stride 4, 8, 16, 32"),
    ],
)
def test_levels_that_are_not_there_are_refused(config: RfcrConfig, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        config.build(FEATURES)


def test_levels_that_do_not_double_are_refused() -> None:
    with pytest.raises(ModelError, match="'rfcr': gets levels of stride 8, 32"):
        RfcrConfig().build(FeatureSpec((6, 6), (8, 32)))


def _one_detector_of_a_neck() -> dict[str, DetectorConfig]:
    detectors = [zoo.config(name, ("red", "green")) for name in zoo.names()]
    # Necks that stand in no detector of the zoo, or there behind RFCR only.
    pyramid = zoo.config("fcos-debug", ("red", "green"))
    detectors += [
        dataclasses.replace(pyramid, neck=neck) for neck in (BiFpnConfig(channels=20), PanConfig(channels=20))
    ]
    detectors.append(yoloret_mobilenetv2(("red", "green"), rfcr=False))
    return {one.neck.kind: one for one in detectors if not isinstance(one.neck, NeckRowConfig)}


_DETECTORS = _one_detector_of_a_neck()


def test_no_neck_is_forgotten() -> None:
    necks = {get_args(get_type_hints(neck)["kind"])[0] for neck in get_args(get_args(SingleNeckConfig)[0])}
    assert necks - set(_DETECTORS) == {"rfcr"}


@pytest.mark.parametrize("kind", _DETECTORS)
def test_any_neck_takes_it_in_front(kind: str) -> None:
    plain = _DETECTORS[kind]
    assert not isinstance(plain.neck, NeckRowConfig)
    with torch.device("meta"):
        network = plain.build()
        strides = network.backbone.features.strides
        rfcr = RfcrConfig(collected=8, mixed=24, stride=strides[-1], outputs=strides)
        with_rfcr = dataclasses.replace(plain, neck=NeckRowConfig(first=rfcr, then=plain.neck)).build()
        images = torch.zeros(2, 3, 2 * network.stride, 3 * network.stride)
        expected, found = network.eval()(images), with_rfcr.eval()(images)
    assert found.class_logits.shape == expected.class_logits.shape
    assert found.box_logits.shape == expected.box_logits.shape
    assert sum(value.numel() for value in with_rfcr.parameters()) > sum(value.numel() for value in network.parameters())
