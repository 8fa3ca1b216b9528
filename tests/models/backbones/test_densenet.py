from __future__ import annotations

import dataclasses
from typing import Literal

import pytest
import torch

from sanderling.models.backbones.densenet import DenseNetConfig, DenseStage

SMALL = DenseNetConfig(stem=6, growth=2, layers=(2, 3, 5, 4))


@pytest.mark.parametrize("reads", ["all", "powers_of_two"])
def test_maps_have_the_promised_channels_and_strides(reads: Literal["all", "powers_of_two"]) -> None:
    network = dataclasses.replace(SMALL, reads=reads).build()
    assert network.features.strides == (8, 16, 32)
    maps = network(torch.randn(2, 3, 96, 160))
    assert [tuple(x.shape[2:]) for x in maps] == [(12, 20), (6, 10), (3, 5)]
    assert tuple(x.shape[1] for x in maps) == network.features.channels


@pytest.mark.parametrize(
    ("reads", "read"),
    [
        # What each of five layers and then the stage reads, 0 being the stage's input.
        ("all", [[0], [1, 0], [2, 1, 0], [3, 2, 1, 0], [4, 3, 2, 1, 0], [5, 4, 3, 2, 1, 0]]),
        ("powers_of_two", [[0], [1, 0], [2, 1], [3, 2, 0], [4, 3, 1], [5, 4, 2]]),
    ],
)
def test_layers_read_what_their_rule_says(reads: Literal["all", "powers_of_two"], read: list[list[int]]) -> None:
    stage = DenseStage(6, 2, 5, reads=reads, act="relu").eval()
    outputs = [torch.randn(2, 6, 5, 9)]
    for layer, sources in zip(stage.layers, read, strict=False):
        outputs.append(layer(torch.cat([outputs[source] for source in sources], 1)))
    expected = torch.cat([outputs[source] for source in read[-1]], 1)
    assert stage.channels == expected.shape[1]
    torch.testing.assert_close(stage(outputs[0]), expected)
