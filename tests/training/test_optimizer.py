from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from sanderling import config
from sanderling.errors import UsageError
from sanderling.training.optimizer import AdamWConfig, SgdConfig, parameter_groups


def _module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1, bias=False))


def test_one_group_where_all_is_decayed() -> None:
    module = _module()
    (group,) = parameter_groups(module, weight_decay=0.1, decay_norms=True)
    assert group["weight_decay"] == 0.1
    assert [id(parameter) for parameter in group["params"]] == [id(parameter) for parameter in module.parameters()]


def test_biases_and_norms_are_not_decayed_when_so_asked() -> None:
    module = _module()
    decayed, plain = parameter_groups(module, weight_decay=0.1, decay_norms=False)
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    assert {names[id(parameter)] for parameter in decayed["params"]} == {"0.weight", "2.weight"}
    assert {names[id(parameter)] for parameter in plain["params"]} == {"0.bias", "1.weight", "1.bias"}
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)


def test_frozen_parameters_are_in_no_group() -> None:
    module = _module()
    module.get_submodule("0").requires_grad_(False)
    groups = parameter_groups(module, weight_decay=0.1, decay_norms=False)
    assert sum(len(group["params"]) for group in groups) == 3


def test_no_empty_group_is_made() -> None:
    module = nn.Conv2d(1, 1, 1, bias=False)
    assert len(parameter_groups(module, weight_decay=0.1, decay_norms=False)) == 1


def test_sgd_step_follows_the_textbook() -> None:
    module = _module()
    weight = module.get_parameter("0.weight")
    before = weight.detach().clone()
    optimizer = SgdConfig(lr=0.5, momentum=0.9, weight_decay=0.1).build(module)
    velocity = torch.zeros_like(before)
    expected = before
    for step in range(3):
        gradient = torch.full_like(before, 0.1 * (step + 1))
        weight.grad = gradient.clone()
        optimizer.step()
        velocity = 0.9 * velocity + gradient + 0.1 * expected
        expected = expected - 0.5 * velocity
    torch.testing.assert_close(weight.detach(), expected)


def test_adamw_decays_weights_apart_from_the_gradient() -> None:
    module = _module()
    before = copy.deepcopy(module)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    AdamWConfig(lr=0.1, weight_decay=0.5).build(module).step()
    for name, parameter in module.named_parameters():
        old = before.get_parameter(name)
        torch.testing.assert_close(parameter, old * 0.95 if parameter.ndim > 1 else old)


def test_larger_steps_have_a_larger_rate_each_as_its_rule_is() -> None:
    sgd, adamw = SgdConfig(lr=0.1, momentum=0.8), AdamWConfig(lr=0.1, weight_decay=0.3)
    assert [sgd.for_steps(times).lr for times in (0.25, 1, 4)] == pytest.approx([0.025, 0.1, 0.4])
    assert [adamw.for_steps(times).lr for times in (0.25, 1, 4)] == pytest.approx([0.05, 0.1, 0.2])
    assert (sgd.for_steps(1), adamw.for_steps(1)) == (sgd, adamw)
    assert (sgd.for_steps(3).momentum, adamw.for_steps(3).weight_decay) == (0.8, 0.3)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"lr": 0}, "lr"),
        ({"momentum": 1.0}, "momentum"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"nesterov": True, "momentum": 0.0}, "needs a momentum above 0"),
    ],
)
def test_values_that_make_no_sense_are_refused(values: dict[str, float], key: str) -> None:
    with pytest.raises(UsageError, match=key):
        config.parse(SgdConfig, values)
