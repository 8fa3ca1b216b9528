from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sanderling import config
from sanderling.errors import ModelError, UsageError
from sanderling.models.backbones.mobilenet_v1 import MobileNetV1, MobileNetV1Config
from sanderling.models.features import FeatureSpec


def _network(**settings: object) -> MobileNetV1:
    torch.manual_seed(0)
    return MobileNetV1Config(width=0.125, **settings).build().eval()  # type: ignore[arg-type]


def _changed(network: MobileNetV1, block: int, x: Tensor) -> list[bool]:
    """Which maps are others after the weights of a block, counted from 1, have changed."""
    with torch.no_grad():
        before = network(x)
        weight = network.get_parameter(f"blocks.{block - 1}.pointwise.weight")
        kept = weight.clone()
        weight.mul_(-1)
        after = network(x)
        weight.copy_(kept)
    return [not torch.equal(old, new) for old, new in zip(before, after, strict=True)]


def test_the_finer_maps_are_taken_in_the_middle_of_their_stages() -> None:
    network, x = _network(), torch.randn(1, 3, 96, 160)
    assert [_changed(network, block, x) for block in (4, 5, 6, 7, 11, 12, 13)] == [
        [True, True, True],
        [False, True, True],
        [False, True, True],
        [False, False, True],
        [False, False, True],
        [False, False, True],
        [False, False, True],
    ]


def test_maps_can_be_taken_at_the_ends_of_the_stages() -> None:
    network, x = _network(taps=(5, 11, 13)), torch.randn(1, 3, 96, 160)
    assert network.features == _network().features
    assert _changed(network, 5, x) == [True, True, True]
    assert _changed(network, 11, x) == [False, True, True]


def test_maps_are_what_the_features_say() -> None:
    network = _network()
    assert network.features == FeatureSpec((32, 64, 128), (8, 16, 32))
    maps = network(torch.randn(2, 3, 96, 160))
    assert [tuple(x.shape) for x in maps] == [(2, 32, 12, 20), (2, 64, 6, 10), (2, 128, 3, 5)]


def test_blocks_behind_the_last_tap_are_left_out() -> None:
    network = _network(taps=(2, 6))
    assert len(network.blocks) == 6
    assert network.features == FeatureSpec((16, 64), (4, 16))
    assert [tuple(x.shape) for x in network(torch.randn(1, 3, 32, 48))] == [(1, 16, 8, 12), (1, 64, 2, 3)]


def test_the_published_widths() -> None:
    with torch.device("meta"):
        network = MobileNetV1Config().build()
    assert network.features == FeatureSpec((256, 512, 1024), (8, 16, 32))
    assert sum(parameter.numel() for parameter in network.parameters()) == 3_206_976


@pytest.mark.parametrize("taps", [(), (6, 4), (4, 4, 13)])
def test_taps_that_do_not_rise_are_refused(taps: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"backbone\.taps = .*blocks 1 to 13, in rising order"):
        MobileNetV1Config(taps=taps).build()


def test_a_block_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="taps"):
        config.override(MobileNetV1Config(), ["taps=[4, 6, 14]"])
