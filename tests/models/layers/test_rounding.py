from __future__ import annotations

import pytest

from sanderling.models.layers.rounding import nearest_multiple, round_channels


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [(32 * 0.75, 24), (24 * 0.75, 24), (96 * 0.75, 72), (24 * 1.4, 32), (96 * 1.4, 136), (16 * 1.2, 24), (3, 8)],
)
def test_multiples_of_eight_that_lose_at_most_a_tenth(channels: float, rounded: int) -> None:
    assert round_channels(channels) == rounded
    assert rounded % 8 == 0
    assert rounded >= 0.9 * channels


def test_another_divisor() -> None:
    assert round_channels(17, divisor=4) == 16
    assert round_channels(1, divisor=4) == 4


@pytest.mark.parametrize(("channels", "rounded"), [(12, 16), (11.9, 8), (18, 16), (20, 24), (2, 8)])
def test_the_nearest_multiple_may_lose_more(channels: float, rounded: int) -> None:
    assert nearest_multiple(channels) == rounded
