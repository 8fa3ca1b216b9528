from __future__ import annotations

import pytest
import torch

from sanderling.ops.tensor.points import anchor_priors, grid_priors

CPU = torch.device("cpu")


def test_one_prior_per_cell_by_level_and_row_at_a_size_that_is_not_square() -> None:
    priors, strides = grid_priors((40, 72), (8, 16), scale=5, device=CPU)
    expected = [
        [(column + 0.5) * stride, (row + 0.5) * stride, 5 * stride, 5 * stride]
        for stride, rows, columns in ((8, 5, 9), (16, 3, 5))
        for row in range(rows)
        for column in range(columns)
    ]
    assert priors.tolist() == expected
    assert strides.tolist() == [8] * 45 + [16] * 15


def test_the_offset_moves_centres() -> None:
    priors, _ = grid_priors((16, 16), (8,), scale=1, offset=0, device=CPU)
    assert priors[:, :2].tolist() == [[0, 0], [8, 0], [0, 8], [8, 8]]


def test_it_is_made_on_the_device_asked_for() -> None:
    priors, strides = grid_priors((64, 32), (8,), scale=5, device=torch.device("meta"))
    assert priors.device.type == strides.device.type == "meta"
    assert priors.dtype == strides.dtype == torch.float32


def test_the_anchors_of_a_cell_follow_one_another() -> None:
    anchors = (((10.0, 13.0), (16.0, 30.0)), ((62.0, 45.0),))
    priors, strides = anchor_priors((40, 72), (8, 16), anchors, device=CPU)
    expected = [
        [(column + 0.5) * stride, (row + 0.5) * stride, *anchor]
        for stride, rows, columns, level in ((8, 5, 9, anchors[0]), (16, 3, 5, anchors[1]))
        for row in range(rows)
        for column in range(columns)
        for anchor in level
    ]
    assert priors.tolist() == expected
    assert strides.tolist() == [8] * 90 + [16] * 15


def test_every_level_needs_anchors() -> None:
    with pytest.raises(ValueError, match="shorter"):
        anchor_priors((32, 32), (8, 16), (((10.0, 13.0),),), device=CPU)
