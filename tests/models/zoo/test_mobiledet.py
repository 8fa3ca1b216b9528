from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling.analysis.cost import measure_cost
from sanderling.models import zoo
from sanderling.models.layers.fused_inverted_bottleneck import FusedInvertedBottleneck
from sanderling.models.layers.inverted_bottleneck import InvertedBottleneck
from sanderling.models.layers.tucker import TuckerConv

NAMES = [f"ssdlite-mobiledet-{target}" for target in ("cpu", "edgetpu", "dsp", "gpu")]


@pytest.mark.parametrize(
    ("name", "macs"), list(zip(NAMES, (408_000_000, 1_474_000_000, 2_763_000_000, 5_010_000_000), strict=True))
)
def test_points_and_the_backbones_share_of_the_cost(name: str, macs: int) -> None:
    cost = measure_cost(zoo.config(name))
    assert cost.part("backbone").macs == pytest.approx(macs, abs=500_000)
    assert cost.part("neck").outputs[2:] == ("512x5x5", "256x3x3", "256x2x2", "128x1x1")
    assert cost.part("head").outputs == ("2034x84",)


def test_the_processors_swish_ends_with_the_backbone() -> None:
    with torch.device("meta"):
        network = zoo.config("ssdlite-mobiledet-cpu").build()
    behind = [*network.neck.modules(), *network.head.modules()]
    assert any(isinstance(module, nn.ReLU6) for module in behind)
    assert not any(isinstance(module, nn.Hardswish) for module in behind)
    epsilons = [{m.eps for m in part.modules() if isinstance(m, nn.BatchNorm2d)} for part in network.children()]
    assert epsilons == [{0.01}, {0.001}, {0.001}]


def test_the_debug_size_has_every_kind_of_block() -> None:
    kinds = {type(module) for module in zoo.config("mobiledet-debug").build().backbone.modules()}
    assert {InvertedBottleneck, FusedInvertedBottleneck, TuckerConv} <= kinds
