from __future__ import annotations

import math

import pytest
import torch

from sanderling.objectives.losses.quality_focal import background_focal, quality_focal


@pytest.mark.parametrize(("logit", "quality"), [(0.3, 0.7), (-4.6, 0.0), (2.0, 1.0), (5.0, 0.1)])
def test_agrees_with_the_definition(logit: float, quality: float) -> None:
    score = 1 / (1 + math.exp(-logit))
    entropy = -quality * math.log(score) - (1 - quality) * math.log(1 - score)
    found = quality_focal(torch.tensor(logit, dtype=torch.float64), torch.tensor(quality, dtype=torch.float64))
    assert found.item() == pytest.approx(entropy * (quality - score) ** 2)


def test_background_is_quality_zero() -> None:
    logits = torch.linspace(-12, 12, 49, dtype=torch.float64, requires_grad=True)
    ours, reference = background_focal(logits), quality_focal(logits, torch.zeros_like(logits))
    torch.testing.assert_close(ours, reference)
    (gradient,) = torch.autograd.grad(ours.sum(), logits)
    (expected,) = torch.autograd.grad(reference.sum(), logits)
    torch.testing.assert_close(gradient, expected)


def test_the_gradient_is_that_of_finite_differences() -> None:
    logits = torch.linspace(-6, 6, 13, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(background_focal, logits)
    assert torch.autograd.gradcheck(lambda x: quality_focal(x, torch.full_like(x, 0.6)), logits)


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([-200.0, 200.0], requires_grad=True)
    loss = background_focal(logits)
    loss.sum().backward()
    assert loss.tolist() == [0.0, 200.0]
    assert logits.grad is not None
    assert logits.grad.tolist() == [0.0, 1.0]


def test_a_score_equal_to_its_quality_costs_nothing() -> None:
    assert quality_focal(torch.tensor(0.0), torch.tensor(0.5)).item() == 0
