from __future__ import annotations

import pytest
import torch

from sanderling.models.layers.even_pool import EvenPool


def test_each_pixel_sees_its_right_and_lower_neighbours() -> None:
    x = torch.tensor([[1.0, 2, -9], [-4, -5, -6]])
    assert EvenPool()(x[None, None])[0, 0].tolist() == [[2, 2, -6], [-4, -5, -6]]


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (4, 1), (6, 3)])
def test_odd_sizes_keep_their_size(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size) - 3  # below zero, where a border of zeros would win
    found = EvenPool()(x)
    height, width = size
    for row in range(height):
        for column in range(width):
            assert torch.equal(found[:, :, row, column], x[:, :, row : row + 2, column : column + 2].amax((2, 3)))


def test_a_corner_that_is_its_own_neighbour_gets_its_gradient_once() -> None:
    x = torch.zeros(1, 1, 1, 1, requires_grad=True)
    EvenPool()(x).sum().backward()
    assert x.grad is not None
    assert x.grad.item() == 1
