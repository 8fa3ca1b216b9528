from __future__ import annotations

import math

import pytest
import torch

from sanderling.objectives.losses.distribution_focal import distribution_focal


def test_agrees_with_the_definition() -> None:
    logits = torch.randn(5, 4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    distances = torch.rand(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 6.9
    found = distribution_focal(logits, distances)
    assert found.shape == (5, 4)
    for row in range(5):
        for side in range(4):
            shares = [math.exp(value) for value in logits[row, side].tolist()]
            distance = distances[row, side].item()
            below = int(distance)
            expected = -(below + 1 - distance) * math.log(shares[below] / sum(shares)) - (distance - below) * math.log(
                shares[below + 1] / sum(shares)
            )
            assert found[row, side].item() == pytest.approx(expected)


def test_it_is_least_where_the_distribution_expects_the_distance() -> None:
    distance = torch.tensor([2.25])
    logits = torch.full((1, 8), -30.0)
    logits[0, 2], logits[0, 3] = math.log(0.75), math.log(0.25)
    best = distribution_focal(logits, distance)
    assert best.item() == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)), abs=1e-5)
    worse = logits.clone()
    worse[0, 3] += 1
    assert distribution_focal(worse, distance).item() > best.item()


def test_whole_distances_ask_for_one_bin() -> None:
    logits = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 3, 6]), reduction="none")
    torch.testing.assert_close(distribution_focal(logits, torch.tensor([0.0, 3.0, 6.0])), expected)
