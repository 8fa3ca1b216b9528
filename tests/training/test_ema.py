from __future__ import annotations

import math

import pytest
import torch

from sanderling import config
from sanderling.errors import UsageError
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


@pytest.mark.parametrize(
    ("step", "constant", "exponential", "fraction"),
    [
        (0, 0.9998, 0.0004998, 0.1),
        (1, 0.9998, 0.0009993, 0.18182),
        (9, 0.9998, 0.0049865, 0.5263),
        (90, 0.9998, 0.0444711, 0.91),
        (1999, 0.9998, 0.631994, 0.99552),
        (44_989, 0.9998, 0.9998, 0.9998),
        (10_000_000, 0.9998, 0.9998, 0.9998),
    ],
)
def test_the_decay_grows_as_published(step: int, constant: float, exponential: float, fraction: float) -> None:
    forms = {"constant": constant, "exponential": exponential, "fraction": fraction}
    for form, expected in forms.items():
        decay = config.parse(EmaConfig, {"form": form}).decay_at(step)
        assert decay == pytest.approx(expected, rel=1e-4), form
        assert decay <= 0.9998


def test_what_a_run_was_written_with_before_there_were_forms_is_read_as_it_was_meant() -> None:
    read = config.parse(EmaConfig, {"decay": 0.99, "ramp": 100.0})
    for step in (0, 7, 1234):
        # To the bit: the same operations in the same order.
        assert read.decay_at(step) == 0.99 * (1 - math.exp(-(1 + step) / 100.0))
    with pytest.raises(UsageError, match="form = 'linear'"):
        config.parse(EmaConfig, {"form": "linear"})


def test_from_a_copy_no_correction_of_the_bias_is_needed() -> None:
    """PaddleDetection's form: from zeros, divided by what is left of 1, equals the plain mean where nothing decays."""
    torch.manual_seed(0)
    network = nanodet_debug(("a",)).build()
    name = "backbone.conv1.0.weight"
    weight = network.get_parameter(name)
    ema = Ema(network, EmaConfig(decay=0.9, form="constant"))
    copy_share, from_zeros, start = 1.0, torch.zeros_like(weight), weight.detach().clone()
    for step in range(20):
        with torch.no_grad():
            weight.add_(torch.randn_like(weight))
        ema.update(network, step)
        copy_share *= 0.9
        from_zeros = from_zeros * 0.9 + weight.detach() * 0.1
    # What stands for the start is the copy; without it only 1 - 0.9**20 of a mean is left.
    torch.testing.assert_close(ema.network.get_parameter(name), from_zeros + copy_share * start, rtol=1e-4, atol=1e-5)
    # And a network that does not move is its own average at any step, in any form.
    still = Ema(network, EmaConfig(form="fraction"))
    for step in range(3):
        still.update(network, step)
    torch.testing.assert_close(still.network.get_parameter(name), weight.detach())


def test_average_is_a_network_of_its_own_that_does_not_learn() -> None:
    network = nanodet_debug(("a",)).build()
    ema = Ema(network, EmaConfig())
    assert not ema.network.training
    assert not any(parameter.requires_grad for parameter in ema.network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    with torch.no_grad():
        network.get_parameter("backbone.conv1.0.weight").zero_()
    assert ema.network.get_parameter("backbone.conv1.0.weight").abs().sum() > 0
