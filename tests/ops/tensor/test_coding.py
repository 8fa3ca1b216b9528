from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.ops.tensor.coding import DistanceCoding, DistributionCoding, SsdCoding, YoloCoding
from sanderling.structures.predictions import BoxCoding

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


_YOLO_CODINGS = [YoloCoding(scale_xy, size) for scale_xy in (1.0, 1.05, 2.0) for size in ("exp", "sigmoid_squared")]
_OBLONG = torch.tensor([[20.0, 12.0, 10.0, 13.0], [40.0, 24.0, 62.0, 45.0]])
"""Priors of cells of 8 and 16 pixels."""


@pytest.mark.parametrize("coding", _YOLO_CODINGS)
@settings(deadline=None, max_examples=25)
@given(
    places=st.lists(st.floats(0.02, 0.98), min_size=4, max_size=4),
    factors=st.lists(st.floats(0.1, 3.5), min_size=4, max_size=4),
)
def test_yolo_decoding_inverts_encoding(coding: YoloCoding, places: list[float], factors: list[float]) -> None:
    inside = torch.tensor(places).view(2, 2) - 0.5
    centres = _OBLONG[:, :2] + inside * STRIDES[:, None]
    half = _OBLONG[:, 2:] * torch.tensor(factors).view(2, 2) / 2
    boxes = torch.cat((centres - half, centres + half), 1)
    encoded = coding.encode(boxes, _OBLONG, STRIDES)
    numbers = torch.cat((encoded[:, :2].logit(), encoded[:, 2:]), 1)
    torch.testing.assert_close(coding.decode(numbers, _OBLONG, STRIDES), boxes, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("scale_xy", "offsets"),
    [(1.05, [-0.0224, 0.0248, 0.5, 0.9752, 1.0224]), (1.0, [0.0025, 0.0474, 0.5, 0.9526, 0.9975])],
)
def test_a_grid_sensitive_centre_reaches_the_border_of_its_cell(scale_xy: float, offsets: list[float]) -> None:
    logits = torch.tensor([-6.0, -3.0, 0.0, 3.0, 6.0])
    numbers = torch.stack((logits, logits.flip(0), torch.zeros(5), torch.zeros(5)), 1)
    priors = torch.tensor([[24.0, 40.0, 10.0, 20.0]])  # the cell from (16, 32) on
    boxes = YoloCoding(scale_xy).decode(numbers, priors, torch.tensor([16.0]))
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    expected = torch.tensor(offsets)
    torch.testing.assert_close(centres[:, 0] / 16 - 1, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(centres[:, 1] / 16 - 2, expected.flip(0), rtol=0, atol=1e-4)


def test_levels_may_reach_differently_far() -> None:
    coding = YoloCoding(((16, 1.5), (8, 1.1)))
    torch.testing.assert_close(coding.scales(torch.tensor([8.0, 16.0, 16.0])), torch.tensor([[1.1], [1.5], [1.5]]))
    far = torch.tensor([50.0, 50.0, 0.0, 0.0])  # the sigmoid says 1
    for point, scale in ((0, 1.1), (1, 1.5)):
        box = coding.decode(far, _OBLONG[point], STRIDES[point])
        reach = ((box[:2] + box[2:]) / 2 - _OBLONG[point, :2]) / STRIDES[point]
        assert reach.tolist() == pytest.approx([scale / 2] * 2)


def test_yolo_sizes_are_factors_of_the_prior() -> None:
    numbers = torch.tensor([0.0, 0.0, math.log(2), -1.0])
    prior, stride = torch.tensor([24.0, 40.0, 10.0, 20.0]), torch.tensor(16.0)
    plain = YoloCoding().decode(numbers, prior, stride)
    assert (plain[2:] - plain[:2]).tolist() == pytest.approx([20, 20 * math.exp(-1)])
    squared = YoloCoding(2.0, "sigmoid_squared").decode(numbers, prior, stride)
    expected = [10 * (2 * 2 / 3) ** 2, 20 * (2 / (1 + math.e)) ** 2]
    assert (squared[2:] - squared[:2]).tolist() == pytest.approx(expected)


def test_a_squared_sigmoid_is_not_asked_for_more_than_four_times_the_prior() -> None:
    boxes = torch.tensor([[-480.0, 0.0, 520.0, 24.0]])
    encoded = YoloCoding(2.0, "sigmoid_squared").encode(boxes, _OBLONG[:1], STRIDES[:1])
    assert torch.isfinite(encoded).all()
    decoded = YoloCoding(2.0, "sigmoid_squared").decode(
        torch.cat((encoded[:, :2].logit(), encoded[:, 2:]), 1), _OBLONG[:1], STRIDES[:1]
    )
    assert float(decoded[0, 2] - decoded[0, 0]) == pytest.approx(40, rel=1e-3)


@pytest.mark.parametrize("coding", [SsdCoding(), DistanceCoding()])
@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-3, 4), min_size=8, max_size=8))
def test_encoding_inverts_decoding(coding: BoxCoding, numbers: list[float]) -> None:
    said = torch.tensor(numbers).view(2, 4)
    boxes = coding.decode(said, _OBLONG, STRIDES)
    torch.testing.assert_close(coding.encode(boxes, _OBLONG, STRIDES), said, rtol=1e-3, atol=1e-3)


def test_ssd_numbers_worked_out_by_hand() -> None:
    # The centre moves by half a width and a quarter of a height; twice as wide.
    prior, stride = torch.tensor([20.0, 12.0, 10.0, 16.0]), torch.tensor(8.0)
    box = torch.tensor([15.0, 8.0, 35.0, 24.0])
    numbers = [0.5 / 0.1, 0.25 / 0.1, math.log(2) / 0.2, 0]
    assert SsdCoding().encode(box, prior, stride).tolist() == pytest.approx(numbers)
    assert SsdCoding().decode(torch.tensor(numbers), prior, stride).tolist() == pytest.approx(box.tolist())


def test_ssd_sizes_have_a_limit() -> None:
    box = SsdCoding().decode(torch.tensor([0.0, 0.0, 1e6, 0.0]), torch.tensor([0.0, 0.0, 8.0, 8.0]), torch.tensor(8.0))
    assert float(box[2] - box[0]) == pytest.approx(8 * 1000 / 16)


def test_distances_worked_out_by_hand_and_a_point_outside_its_box() -> None:
    box = torch.tensor([[4.0, 8.0, 36.0, 20.0]])  # left 16, top 4, right 16, bottom 8 from (20, 12), cells of 8
    encoded = DistanceCoding().encode(box, PRIORS[:1], STRIDES[:1])
    assert encoded.exp().tolist()[0] == pytest.approx([2, 0.5, 2, 1])
    outside = DistanceCoding().encode(torch.tensor([[24.0, 8.0, 36.0, 20.0]]), PRIORS[:1], STRIDES[:1])
    assert torch.isfinite(outside).all()
    assert outside[0, 0].exp().item() == pytest.approx(1e-3)


@pytest.mark.parametrize("coding", [YoloCoding(1.05), SsdCoding(), DistanceCoding()])
def test_all_codings_take_leading_axes(coding: BoxCoding) -> None:
    numbers = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0))
    boxes = coding.decode(numbers, _OBLONG, STRIDES)
    assert boxes.shape == (3, 2, 4)
    for picture in range(3):
        torch.testing.assert_close(boxes[picture], coding.decode(numbers[picture], _OBLONG, STRIDES))
    assert (boxes[..., 2:] > boxes[..., :2]).all()


def test_each_stride_may_have_its_own_scale() -> None:
    coding = YoloCoding(((8, 1.5), (32, 2.0)))
    strides = torch.tensor([32.0, 8, 16, 8])
    assert coding.scales(strides).flatten().tolist() == [2.0, 1.5, 1.0, 1.5]
    priors = torch.tensor([[40.0, 40, 10, 10]]).expand(4, 4)
    numbers = torch.tensor([[3.0, -1, 0.2, -0.2]]).expand(4, 4)
    for index, scale in enumerate((2.0, 1.5, 1.0, 1.5)):
        alone = YoloCoding(scale).decode(numbers[index : index + 1], priors[:1], strides[index : index + 1])
        torch.testing.assert_close(coding.decode(numbers, priors, strides)[index : index + 1], alone)
    boxes = coding.decode(numbers, priors, strides)
    places = torch.tensor([3.0, -1]).sigmoid().expand(4, 2)
    torch.testing.assert_close(coding.encode(boxes, priors, strides)[:, :2], places)
