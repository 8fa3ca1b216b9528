from __future__ import annotations

import itertools

import pytest
import torch

from sanderling.objectives.losses.focal import focal_negative, focal_positive, focal_with_few_positives


def test_values_by_hand() -> None:
    logits = torch.tensor([0.0, 2.0], dtype=torch.float64)
    # At 0.5: a quarter of log 2.
    assert float(focal_positive(logits, alpha=0.75, gamma=2)[0]) == pytest.approx(0.75 * 0.25 * 0.6931472)
    assert float(focal_negative(logits, alpha=0.75, gamma=2)[0]) == pytest.approx(0.25 * 0.25 * 0.6931472)
    # sigmoid(2) = 0.8807971
    assert float(focal_positive(logits, alpha=0.25, gamma=2)[1]) == pytest.approx(0.25 * 0.1192029**2 * 0.1269280)
    assert float(focal_negative(logits, alpha=0.25, gamma=2)[1]) == pytest.approx(0.75 * 0.8807971**2 * 2.1269280)


def test_without_focus_it_is_weighted_cross_entropy() -> None:
    logits = torch.linspace(-6, 6, 13)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    expected = 0.3 * entropy(logits, torch.ones(13), reduction="none")
    torch.testing.assert_close(focal_positive(logits, alpha=0.3, gamma=0), expected)
    expected = 0.7 * entropy(logits, torch.zeros(13), reduction="none")
    torch.testing.assert_close(focal_negative(logits, alpha=0.3, gamma=0), expected)


def test_extreme_logits_have_finite_losses_and_gradients() -> None:
    logits = torch.tensor([-200.0, -50.0, 50.0, 200.0], requires_grad=True)
    loss = focal_positive(logits, alpha=0.25, gamma=2.0).sum() + focal_negative(logits, alpha=0.25, gamma=2.0).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    # Wrong by far: the slope of a cross-entropy.
    assert logits.grad.tolist() == pytest.approx([-0.25, -0.25, 0.75, 0.75])


def test_the_few_positives_are_taken_out_of_the_background() -> None:
    logits = torch.randn(3, 5, 2, dtype=torch.float64)
    at = (torch.tensor([0, 2]), torch.tensor([4, 1]), torch.tensor([1, 0]))
    share = torch.tensor([1.0, 0.3], dtype=torch.float64)
    expected = 0.0
    for place, logit in zip(itertools.product(range(3), range(5), range(2)), logits.flatten(), strict=True):
        if place in ((0, 4, 1), (2, 1, 0)):
            expected += float(focal_positive(logit, alpha=0.75, gamma=2) * (1.0 if place[0] == 0 else 0.3))
        else:
            expected += float(focal_negative(logit, alpha=0.75, gamma=2))
    found = focal_with_few_positives(logits, logits[at], share, alpha=0.75, gamma=2)
    assert float(found) == pytest.approx(expected)


def test_without_positives_all_is_background() -> None:
    logits = torch.randn(2, 3, 4)
    found = focal_with_few_positives(logits, logits.new_zeros(0), logits.new_zeros(0), alpha=0.25, gamma=2)
    torch.testing.assert_close(found, focal_negative(logits, alpha=0.25, gamma=2).sum())
