from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling.models import zoo
from sanderling.models.weights.folded_batchnorm import folded_norms, folded_state


@pytest.mark.parametrize("eps", [1e-5, 1e-3, 1e-6])
def test_a_folded_norm_adds_its_bias_and_nothing_else(eps: float) -> None:
    norm = nn.BatchNorm2d(4, eps=eps).eval()
    bias = torch.tensor([0.25, -1.0, 3.0, 0.0])
    norm.load_state_dict({k.removeprefix("n."): v for k, v in folded_state("n", norm, bias).items()})
    x = torch.randn(2, 4, 5, 3)
    torch.testing.assert_close(norm(x), x + bias[:, None, None], rtol=2e-7, atol=2e-7)


def test_only_norms_that_came_folded_are_found() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.BatchNorm2d(4, eps=1e-3))
    assert folded_norms(network) == {}
    network.load_state_dict(folded_state("1", nn.BatchNorm2d(4), None), strict=False)
    network.load_state_dict(folded_state("3", nn.BatchNorm2d(4, eps=1e-3), torch.ones(4)), strict=False)
    assert list(folded_norms(network)) == ["1", "3"]
    network.train()
    network(torch.randn(2, 3, 4, 4))
    assert folded_norms(network) == {}


def test_fresh_networks_and_norms_without_statistics_are_not_folded() -> None:
    assert not folded_norms(zoo.config("nanodet-debug", ("a",)).build())
    assert not folded_norms(nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)))
