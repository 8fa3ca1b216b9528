from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from sanderling import config as configs
from sanderling.analysis.published import count_backbone
from sanderling.models import zoo
from sanderling.models.backbones.csp_resnet import CspResNetConfig
from sanderling.models.backbones.vovnet import VoVNetConfig
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.backbones import BACKBONES, BackboneEntry, classifier


def _network(entry: BackboneEntry) -> nn.Module:
    with torch.device("meta"):
        return entry.config.build() if entry.classes is None else classifier(entry.config, entry.classes)


def test_names_are_different() -> None:
    assert len({entry.name for entry in BACKBONES}) == len(BACKBONES)


@pytest.mark.parametrize("entry", [e for e in BACKBONES if e.published], ids=lambda entry: entry.name)
def test_the_published_counts_are_met(entry: BackboneEntry) -> None:
    published, counted = entry.published, count_backbone(entry)
    assert published is not None
    assert published.parameters is not None
    assert published.macs is not None
    allowed = 0 if published.parameters_step == 1 else published.parameters_step / 2
    assert abs(counted.parameters - published.parameters) <= allowed
    assert abs(counted.macs - published.macs) <= max(published.macs_step / 2, 1e-3 * published.macs)


@pytest.mark.parametrize(
    ("name", "convolutions"),
    [
        # Depths of the VoVNet paper, and the sheet on gradient paths, section 2.8.
        *(("vovnet39", 39), ("vovnet57", 57), ("vovnet99", 99)),
        *(("vovnet39-replanned", 37), ("vovnet57-replanned", 52), ("vovnet99-replanned", 87)),
        ("vovnet99-replanned-by-module", 87),
        # With its classification layer CSPDarknet53 has 73.
        ("csp-darknet53", 72),
        ("darknet53", 52),
    ],
)
def test_the_number_of_convolutions_is_that_of_the_name(name: str, convolutions: int) -> None:
    entry = next(entry for entry in BACKBONES if entry.name == name)
    assert sum(isinstance(module, nn.Conv2d) for module in _network(entry).modules()) == convolutions


@pytest.mark.parametrize("entry", BACKBONES, ids=lambda entry: entry.name)
def test_each_stands_under_a_detector_and_survives_yaml(entry: BackboneEntry) -> None:
    chosen = dataclasses.replace(zoo.config("nanodet-debug", ("a", "b")), backbone=entry.config)
    assert configs.parse(DetectorConfig, configs.load_yaml(configs.dump(chosen), source="test")) == chosen
    with torch.device("meta"):
        network = chosen.build()
        maps = network.features(torch.zeros(1, 3, 96, 160, device="meta"))
    assert [tuple(x.shape[1:]) for x in maps.backbone] == [
        (channels, 96 // stride, 160 // stride)
        for channels, stride in zip(network.backbone.features.channels, (8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize(
    "config",
    [
        VoVNetConfig(stem=4, widths=(4, 4, 4, 4), channels=(4, 6, 8, 10), depth=2),
        CspResNetConfig(stem=4, hidden=(2, 4, 4, 4), paths=(4, 4, 4, 4), channels=(4, 6, 8, 10), repeats=(1, 1, 2, 1)),
    ],
    ids=lambda config: config.kind,
)
def test_a_classifier_has_a_row_of_logits_for_each_picture(config: VoVNetConfig | CspResNetConfig) -> None:
    network = classifier(config, 7)
    images = torch.randn(3, 3, 64, 96)
    logits = network(images)
    assert logits.shape == (3, 7)
    pooled = network.backbone.eval()(images)[-1].mean((2, 3))
    torch.testing.assert_close(network.eval()(images), pooled @ network.output.weight.T + network.output.bias)
