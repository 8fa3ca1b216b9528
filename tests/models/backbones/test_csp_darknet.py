from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sanderling.models.backbones.csp_darknet import CspDarknet, CspDarknetConfig
from sanderling.models.features import FeatureSpec
from sanderling.models.layers.csp import CspStage
from sanderling.models.layers.darknet_block import DarknetBlock

FORMS = ("residual", "csp", "csp_fusion_first", "csp_fusion_last", "csp_no_fusion")


def _parameters(config: CspDarknetConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in config.build().parameters())


def _small(**choices: object) -> CspDarknet:
    config = CspDarknetConfig(stem=4, channels=(4, 6, 8, 10, 12), repeats=(1, 2, 1, 2, 1), **choices)  # type: ignore[arg-type]
    return config.build()


@pytest.mark.parametrize("form", FORMS)
def test_maps_have_the_promised_channels_and_strides(form: str) -> None:
    network = _small(stages=form)
    assert network.features == FeatureSpec((8, 10, 12), (8, 16, 32))
    maps = network(torch.randn(2, 3, 96, 160))
    assert [tuple(x.shape) for x in maps] == [(2, 8, 12, 20), (2, 10, 6, 10), (2, 12, 3, 5)]


def test_layers_of_the_residual_form_are_darknets_one_after_another() -> None:
    torch.manual_seed(0)
    config = CspDarknetConfig(
        stem=4, channels=(8, 16, 32, 64, 128), repeats=(1, 1, 2, 1, 2), stages="residual", act="leaky_relu", eps=1e-5
    )
    network = config.build().eval()
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
        norm.running_mean.normal_()  # type: ignore[union-attr]
        norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    steps = iter(zip(convs, norms, strict=True))

    def layer(x: Tensor, *, stride: int = 1) -> Tensor:
        conv, norm = next(steps)
        x = F.conv2d(x, conv.weight, stride=stride, padding=conv.weight.shape[-1] // 2)
        x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        return F.leaky_relu(x, 0.1)

    images = torch.randn(2, 3, 96, 160)
    x = layer(images)
    maps = []
    for count in config.repeats:
        x = layer(x, stride=2)
        for _ in range(count):
            x = x + layer(layer(x))
        maps.append(x)
    assert next(steps, None) is None
    for found, expected in zip(network(images), maps[-3:], strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        # Sheet on gradient paths, section 4.5: backbones alone.
        ("residual", 40_584_928),
        ("csp", 26_596_192),
        ("csp_fusion_first", 26_246_112),
        ("csp_fusion_last", 25_199_712),
        ("csp_no_fusion", 24_849_632),
    ],
)
def test_the_full_backbone_has_the_parameters_of_its_sheet(form: str, expected: int) -> None:
    assert _parameters(CspDarknetConfig(stages=form)) == expected  # type: ignore[arg-type]


def test_the_first_stage_stays_residual_unless_told_otherwise() -> None:
    assert isinstance(_small(stages="csp").stage1[1], DarknetBlock)
    network = _small(stages="csp", first_stage="csp")
    stages = [module for module in network.modules() if isinstance(module, CspStage)]
    # Full width on both paths of the first stage, half of it on those of the others.
    assert [stage.cross.conv.out_channels for stage in stages] == [4, 3, 4, 5, 6]


def test_half_of_the_channels_are_added_in_all_blocks_of_prn() -> None:
    blocks = [m for m in _small(stages="residual", residual_share=0.5).modules() if isinstance(m, DarknetBlock)]
    assert [block.added for block in blocks] == [2, 3, 3, 4, 5, 5, 6]


def test_batchnorm_has_the_eps_of_the_config() -> None:
    norms = {m.eps for m in _small(eps=1e-4).modules() if isinstance(m, nn.BatchNorm2d)}
    assert norms == {1e-4}
