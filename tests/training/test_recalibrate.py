from __future__ import annotations

import pytest
import torch

from sanderling.errors import UsageError
from sanderling.models import zoo
from sanderling.models.network import DetectorNetwork
from sanderling.models.weights.folded_batchnorm import folded_norms, folded_state
from sanderling.training.recalibrate import recalibrate
from tests.support.training import random_batch


def _folded(*, but: str = "nothing") -> DetectorNetwork:
    torch.manual_seed(0)
    network = zoo.config("nanodet-debug", ("a", "b")).build().eval()
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d) and not name.startswith(but):
            bias = torch.randn(module.num_features)
            network.load_state_dict(folded_state(name, module, bias), strict=False)
    return network


def test_predictions_stay_and_the_statistics_are_those_of_the_pictures() -> None:
    network, batches = _folded(), [random_batch(seed=seed) for seed in range(2)]
    before = network(batches[0].images)
    seen: list[torch.Tensor] = []
    hook = network.get_submodule("backbone.conv1.0").register_forward_hook(
        lambda _module, _inputs, output: seen.append(output)
    )
    count = recalibrate(network, batches)
    hook.remove()
    after = network(batches[0].images)
    assert count == len([name for name in network.state_dict() if name.endswith("running_mean")])
    assert not folded_norms(network)
    torch.testing.assert_close(after.class_logits, before.class_logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after.box_logits, before.box_logits, rtol=1e-4, atol=1e-4)
    arrived = torch.cat(seen).double()
    norm = network.get_submodule("backbone.conv1.1")
    assert isinstance(norm, torch.nn.BatchNorm2d)
    torch.testing.assert_close(norm.running_mean, arrived.mean((0, 2, 3)).float())
    torch.testing.assert_close(norm.running_var, arrived.var((0, 2, 3), unbiased=False).float())
    # Where the statistics are those of the batch, training mode computes the same as eval mode.
    torch.testing.assert_close(norm.train()(arrived.float()), norm.eval()(arrived.float()), rtol=1e-3, atol=1e-3)


def test_norms_with_statistics_of_their_own_are_left_alone() -> None:
    network = _folded(but="head.")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items() if name.startswith("head.")}
    recalibrate(network, [random_batch()])
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in before.items())


def test_without_folded_norms_no_picture_is_asked_for() -> None:
    network = zoo.config("nanodet-debug", ("a",)).build().train()
    assert recalibrate(network, iter(())) == 0
    assert network.training


def test_without_pictures_nothing_can_be_measured() -> None:
    network = _folded().train()
    with pytest.raises(UsageError, match=r"task\.folded_batchnorm = 'recalibrate': no training picture"):
        recalibrate(network, [])
    assert network.training
