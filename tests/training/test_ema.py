from __future__ import annotations

import math

import torch

from sanderling.models.zoo.nanodet import nanodet_debug
from sanderling.training.ema import Ema, EmaConfig


def test_average_follows_the_published_formula_buffers_included() -> None:
    torch.manual_seed(0)
    network = nanodet_debug(("a", "b")).build()
    ema = Ema(network, EmaConfig(decay=0.9998, ramp=2000))
    expected = {name: tensor.double() for name, tensor in network.state_dict().items()}
    for step in (0, 1, 2, 3, 1500):
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.randn_like(tensor).abs())
            else:
                tensor.add_(3)
        ema.update(network, step)
        # NanoDet: the new value's weight at step t is 0.9998 exp(-(1 + t) / 2000) + 0.0002.
        share = 0.9998 * math.exp(-(1 + step) / 2000) + 0.0002
        for name, tensor in network.state_dict().items():
            expected[name] = expected[name] * (1 - share) + tensor.double() * share
    average = ema.network.state_dict()
    assert any("running_var" in name for name in average)
    for name, tensor in average.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6)
        else:
            assert torch.equal(tensor, network.state_dict()[name]), name


def test_average_is_a_network_of_its_own_that_does_not_learn() -> None:
    network = nanodet_debug(("a",)).build()
    ema = Ema(network, EmaConfig())
    assert not ema.network.training
    assert not any(parameter.requires_grad for parameter in ema.network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    with torch.no_grad():
        network.get_parameter("backbone.conv1.0.weight").zero_()
    assert ema.network.get_parameter("backbone.conv1.0.weight").abs().sum() > 0
