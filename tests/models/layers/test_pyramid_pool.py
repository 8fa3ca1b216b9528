from __future__ import annotations

import torch

from sanderling.models.layers.pyramid_pool import PyramidPool


def test_each_map_holds_the_maxima_of_its_window() -> None:
    x = torch.randn(2, 3, 7, 11)
    y = PyramidPool((5, 9))(x)
    assert y.shape == (2, 9, 7, 11)
    assert torch.equal(y[:, :3], x)
    for start, reach in ((3, 2), (6, 4)):
        for row, column in ((0, 0), (3, 6), (6, 10)):
            window = x[:, :, max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
            assert torch.equal(y[:, start : start + 3, row, column], window.amax((2, 3)))


def test_the_order_can_be_darknets() -> None:
    x = torch.randn(1, 2, 5, 7)
    parts = PyramidPool((3, 5))(x).chunk(3, 1)
    assert torch.equal(PyramidPool((3, 5), input_last=True)(x), torch.cat(parts[::-1], 1))
