from __future__ import annotations

import pytest
import torch

from sanderling.models.backbones.csp_resnet import CspResNet, CspResNetConfig, CspResStage, PlainResNetConfig, ResBlock
from sanderling.models.features import FeatureSpec

PLAIN = PlainResNetConfig(stem=4, hidden=(2, 4, 4, 6), channels=(4, 6, 8, 10), repeats=(1, 2, 1, 1), groups=2)
CSP = CspResNetConfig(stem=4, hidden=(2, 4, 4, 6), paths=(6, 4, 4, 6), channels=(4, 6, 8, 10), repeats=(2, 1, 2, 1))


@pytest.mark.parametrize("config", [PLAIN, CSP], ids=lambda config: config.kind)
def test_maps_have_the_promised_channels_and_strides(config: PlainResNetConfig | CspResNetConfig) -> None:
    network = config.build()
    assert network.features == FeatureSpec((6, 8, 10), (8, 16, 32))
    maps = network(torch.randn(2, 3, 96, 160))
    assert [tuple(x.shape) for x in maps] == [(2, 6, 12, 20), (2, 8, 6, 10), (2, 10, 3, 5)]


@pytest.mark.parametrize(("channels_in", "channels_out"), [(4, 6), (6, 4)])
def test_unlike_widths_and_sizes_are_added_where_both_have_numbers(channels_in: int, channels_out: int) -> None:
    block = ResBlock(channels_in, channels_out, hidden=2, groups=1, stride=2, act="leaky_relu").eval()
    x = torch.randn(2, channels_in, 7, 10)
    expected = block.body(x)
    expected[:, :4] += x[:, :4, ::2, ::2]
    torch.testing.assert_close(block(x), torch.nn.functional.leaky_relu(expected, 0.1))


def test_paths_of_the_middle_stages_start_without_activation() -> None:
    network = CSP.build()
    assert isinstance(network, CspResNet)
    starts = [module for module in network.modules() if isinstance(module, CspResStage)]
    names = [(type(start.cross.act).__name__, type(start.enter.act).__name__) for start in starts]
    assert names == [("LeakyReLU", "LeakyReLU"), *([("Identity", "Identity")] * 2), ("LeakyReLU", "LeakyReLU")]


def test_a_stage_joins_what_was_worked_on_with_what_crossed() -> None:
    network = CSP.build().eval()
    x = torch.randn(2, 4, 6, 10)
    stage = network.stage1[-1]
    assert isinstance(stage, CspResStage)
    assert stage.enter.conv.out_channels == 4
    worked = stage.leave(stage.blocks(stage.enter(x)))
    torch.testing.assert_close(stage(x), stage.join(torch.cat((worked, stage.cross(x)), 1)))
