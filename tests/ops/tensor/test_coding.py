from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.ops.tensor.coding import DistributionCoding

CODING = DistributionCoding(8)
PRIORS = torch.tensor([[20.0, 12.0, 40.0, 40.0], [40.0, 24.0, 80.0, 80.0]])
STRIDES = torch.tensor([8.0, 16.0])


def _numbers(distances: torch.Tensor) -> torch.Tensor:
    """Logits whose distributions expect the distances: linear between the two nearest bins."""
    below = distances.floor().clamp(max=6)
    shares = torch.zeros(*distances.shape, 8)
    shares.scatter_(-1, below.long()[..., None], (below + 1 - distances)[..., None])
    shares.scatter_(-1, below.long()[..., None] + 1, (distances - below)[..., None])
    return shares.clamp(min=1e-30).log().flatten(-2)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 6.9), min_size=8, max_size=8))
def test_decoding_inverts_encoding(sides: list[float]) -> None:
    distances = torch.tensor(sides).view(2, 4)
    pixels = distances * STRIDES[:, None]
    boxes = torch.cat((PRIORS[:, :2] - pixels[:, :2], PRIORS[:, :2] + pixels[:, 2:]), 1)
    encoded = CODING.encode(boxes, PRIORS, STRIDES)
    torch.testing.assert_close(encoded, distances, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(CODING.decode(_numbers(encoded), PRIORS, STRIDES), boxes, rtol=1e-4, atol=1e-3)


def test_encoding_stays_inside_what_the_bins_can_say() -> None:
    boxes = torch.tensor([[22.0, 0.0, 500.0, 20.0]])  # the left side lies right of the point, the right far away
    encoded = CODING.encode(boxes, PRIORS[:1], STRIDES[:1])
    assert encoded.tolist()[0] == pytest.approx([0, 1.5, 6.9, 1])


def test_decoding_is_the_expectation_and_takes_leading_axes() -> None:
    numbers = torch.randn(3, 2, 32, generator=torch.Generator().manual_seed(0))
    expected = (numbers.view(3, 2, 4, 8).softmax(-1) * torch.arange(8)).sum(-1)
    torch.testing.assert_close(CODING.distances(numbers), expected)
    boxes = CODING.decode(numbers, PRIORS, STRIDES)
    assert boxes.shape == (3, 2, 4)
    torch.testing.assert_close(boxes[1], CODING.decode(numbers[1], PRIORS, STRIDES))
    assert (boxes[..., :2] <= PRIORS[:, :2]).all()
    assert (boxes[..., 2:] >= PRIORS[:, :2]).all()
