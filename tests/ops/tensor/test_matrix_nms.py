from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from sanderling.ops.array.matrix_nms import matrix_nms
from sanderling.ops.tensor.matrix_nms import matrix_shares
from tests.support.crowded import crowd


@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize(("decay", "sigma"), [("linear", 0.5), ("gaussian", 0.5), ("gaussian", 2.0)])
def test_like_the_one_on_arrays(classes: int, decay: Literal["linear", "gaussian"], sigma: float) -> None:
    boxes, scores, labels = crowd(3, 150, classes=classes)
    order = np.argsort(-scores, kind="stable")
    boxes, scores, labels = boxes[order], scores[order], labels[order]
    kept, lowered = matrix_nms(boxes, scores, labels, decay=decay, sigma=sigma)
    expected = np.zeros(150)
    expected[kept] = lowered
    shares = matrix_shares(torch.from_numpy(boxes), torch.from_numpy(labels), decay=decay, sigma=sigma)
    np.testing.assert_allclose(shares.numpy() * scores, expected, atol=2e-6)
    assert np.mean(expected < 0.95 * scores) > 0.2


@pytest.mark.parametrize("decay", ["linear", "gaussian"])
def test_twins_leave_finite_shares(decay: Literal["linear", "gaussian"]) -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10]] * 3 + [[5, 0, 15, 10], [3, 3, 3, 3], [3, 3, 3, 3]])
    shares = matrix_shares(boxes, torch.zeros(6, dtype=torch.int64), decay=decay, sigma=0.5)
    twin = 0 if decay == "linear" else np.exp(-2)
    overlap = 1 / 3
    fourth = 1 - overlap if decay == "linear" else np.exp(-(overlap**2) / 0.5)
    torch.testing.assert_close(shares, torch.tensor([1, twin, twin, fourth, 1, 1], dtype=torch.float32))
