from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from sanderling.compression.fold_batchnorm import fold_batchnorm


def _with_statistics(network: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            module.get_buffer("running_mean").normal_(std=0.2)
            module.get_buffer("running_var").uniform_(0.5, 1.5)
    return network.eval()


def _norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "test_byobnet"])
def test_a_classifier_says_the_same_without_batchnorm(name: str) -> None:
    network = _with_statistics(timm.create_model(name, pretrained=False))
    sample, other = torch.rand(2, 2, 3, 40, 64)
    folded = fold_batchnorm(network, sample)
    assert _norms(network) > 0
    assert _norms(folded) == 0
    with torch.no_grad():
        torch.testing.assert_close(folded(other), network(other), rtol=1e-3, atol=1e-4)


class _BatchNormFirst(nn.Module):
    """Registered as usual, used the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.norm(x))


def test_a_network_in_another_order_is_left_alone() -> None:
    network = _with_statistics(_BatchNormFirst())
    assert fold_batchnorm(network, torch.rand(1, 3, 9, 7)) is network


def test_batchnorm_without_its_convolution_stays() -> None:
    network = _with_statistics(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    folded = fold_batchnorm(network, torch.rand(1, 3, 5, 6))
    assert _norms(folded) == 1
    assert _norms(network) == 2
