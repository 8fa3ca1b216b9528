from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sanderling.models.backbones.darknet53 import DarkNet53Config
from sanderling.models.features import FeatureSpec

SMALL = DarkNet53Config(stem=4, blocks=(1, 1, 2, 1, 2))


def _in_darknets_order(x: Tensor, convs: list[nn.Conv2d], norms: list[nn.BatchNorm2d]) -> list[Tensor]:
    """The cfg read layer by layer: each convolution is the next one of the network."""
    steps = iter(zip(convs, norms, strict=True))

    def layer(x: Tensor, *, stride: int = 1) -> Tensor:
        conv, norm = next(steps)
        x = F.conv2d(x, conv.weight, stride=stride, padding=conv.weight.shape[-1] // 2)
        x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        return F.leaky_relu(x, 0.1)

    x = layer(x)
    maps = []
    for count in SMALL.blocks:
        x = layer(x, stride=2)
        for _ in range(count):
            x = x + layer(layer(x))
        maps.append(x)
    assert next(steps, None) is None
    return maps[-3:]


def test_layers_are_darknets_one_after_another() -> None:
    torch.manual_seed(0)
    network = SMALL.build().eval()
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
        norm.running_mean.normal_()  # type: ignore[union-attr]
        norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    x = torch.randn(2, 3, 96, 160)
    for found, expected in zip(network(x), _in_darknets_order(x, convs, norms), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_maps_are_what_the_features_say() -> None:
    network = SMALL.build().eval()
    assert network.features == FeatureSpec((32, 64, 128), (8, 16, 32))
    maps = network(torch.randn(1, 3, 96, 160))
    assert [tuple(x.shape) for x in maps] == [(1, 32, 12, 20), (1, 64, 6, 10), (1, 128, 3, 5)]


def test_the_published_one_has_52_convolutions() -> None:
    with torch.device("meta"):
        network = DarkNet53Config().build()
    assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) == 52
    assert network.features.channels == (256, 512, 1024)
