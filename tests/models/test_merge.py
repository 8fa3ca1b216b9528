from __future__ import annotations

import dataclasses

import torch
from torch import nn

from sanderling.models import zoo
from sanderling.models.backbones.repvgg import RepVggConfig
from sanderling.models.merge import merge
from sanderling.models.network import DetectorConfig, DetectorNetwork
from tests.support.zoo import noise


def _config() -> DetectorConfig:
    backbone = RepVggConfig(stem=8, channels=(8, 12, 16, 20), blocks=(1, 2, 2, 1))
    return dataclasses.replace(zoo.config("nanodet-debug", ("a", "b")), backbone=backbone)


def _network() -> DetectorNetwork:
    torch.manual_seed(0)
    network = _config().build()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
    with torch.no_grad():
        for _ in range(3):
            network.train()(noise(2, (64, 96)))
    return network


def test_the_merged_network_says_the_same_at_an_odd_size() -> None:
    network = _network()
    merged = merge(network)
    assert merged.config == network.config.merged() != network.config
    images = noise(2, (96, 160), seed=1)
    with torch.no_grad():
        expected, found = network.eval()(images), merged(images)
    assert expected.class_logits.std() > 0
    torch.testing.assert_close(found.class_logits, expected.class_logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.box_logits, expected.box_logits, rtol=1e-4, atol=1e-4)


def test_it_has_fewer_parameters_and_no_norm_in_the_backbone() -> None:
    network = _network()
    merged = merge(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in merged.backbone.modules())
    counts = [sum(parameter.numel() for parameter in each.parameters()) for each in (merged, network)]
    assert counts[0] < counts[1]


def test_the_network_itself_is_left_as_it_is() -> None:
    network = _network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    merge(network)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_merging_twice_is_merging_once() -> None:
    merged = merge(_network())
    assert merge(merged) is merged
