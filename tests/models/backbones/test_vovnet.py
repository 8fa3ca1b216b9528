from __future__ import annotations

import dataclasses
from typing import Literal

import pytest
import torch

from sanderling.models.backbones.vovnet import OneShotModule, VoVNetConfig
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.conv import ConvNormAct

SMALL = VoVNetConfig(stem=4, modules=(1, 2, 1, 3), widths=(3, 4, 5, 6), channels=(4, 6, 8, 10), depth=2)


@pytest.mark.parametrize("stages", ["modules", "replanned", "replanned_by_module"])
def test_maps_have_the_promised_channels_and_strides(
    stages: Literal["modules", "replanned", "replanned_by_module"],
) -> None:
    network = dataclasses.replace(SMALL, stages=stages).build()
    assert network.features == FeatureSpec((6, 8, 10), (8, 16, 32))
    maps = network(torch.randn(2, 3, 96, 160))
    assert [tuple(x.shape) for x in maps] == [(2, 6, 12, 20), (2, 8, 6, 10), (2, 10, 3, 5)]


@pytest.mark.parametrize(("stack", "taps"), [(1, (1, 2, 3, 4)), (2, (2, 4))])
def test_a_module_joins_its_input_and_every_so_many_outputs_once(stack: int, taps: tuple[int, ...]) -> None:
    module = OneShotModule(5, 8, width=3, depth=4, stack=stack, act="relu").eval()
    outputs = [torch.randn(2, 5, 6, 9)]
    for conv in [part for part in module.stacks.modules() if isinstance(part, ConvNormAct)]:
        outputs.append(conv(outputs[-1]))
    joined = torch.cat([outputs[0], *(outputs[tap] for tap in taps)], 1)
    torch.testing.assert_close(module(outputs[0]), module.join(joined))


def test_a_replanned_stage_is_one_module_with_all_its_convolutions() -> None:
    def last_stage(stages: Literal["modules", "replanned", "replanned_by_module"]) -> list[tuple[int, int]]:
        network = dataclasses.replace(SMALL, stages=stages).build()
        modules = [module for module in network.stage4.modules() if isinstance(module, OneShotModule)]
        return [(len(module.stacks), module.join.conv.in_channels) for module in modules]

    assert last_stage("modules") == [(2, 8 + 2 * 6), (2, 10 + 2 * 6), (2, 10 + 2 * 6)]
    assert last_stage("replanned") == [(6, 8 + 6 * 6)]
    assert last_stage("replanned_by_module") == [(3, 8 + 3 * 6)]
