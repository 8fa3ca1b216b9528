from __future__ import annotations

import pytest
import torch

from sanderling.models.layers.coord_conv import CoordConv, CoordGrid, coordinates_like


@pytest.mark.parametrize(
    ("grid", "columns", "rows"),
    [
        ("symmetric", [-1, -0.5, 0, 0.5, 1], [-1, 0, 1]),
        ("left", [-1, -0.875, -0.75, -0.625, -0.5], [-1, -0.75, -0.5]),
    ],
)
def test_columns_come_before_rows(grid: CoordGrid, columns: list[float], rows: list[float]) -> None:
    found = coordinates_like(torch.zeros(2, 7, 3, 5), grid)
    assert found.shape == (2, 2, 3, 5)
    for picture in found:
        assert picture[0].tolist() == [columns] * 3
        assert picture[1].tolist() == [[row] * 5 for row in rows]


def test_a_single_column_stands_at_the_beginning() -> None:
    assert coordinates_like(torch.zeros(1, 4, 3, 1), "symmetric")[0, 0].flatten().tolist() == [-1, -1, -1]


def test_the_convolution_sees_them_behind_its_channels() -> None:
    layer = CoordConv(3, 2, 1, grid="symmetric", act="identity").eval()
    with torch.no_grad():
        layer.block.conv.weight.zero_()
        layer.block.conv.weight[0, 3] = 1  # the column
        layer.block.conv.weight[1, 4] = 1  # the row
    x = torch.randn(2, 3, 4, 6)
    torch.testing.assert_close(layer(x), coordinates_like(x, "symmetric"), rtol=1e-4, atol=1e-4)


def test_coordinates_follow_the_precision_of_the_map() -> None:
    assert coordinates_like(torch.zeros(1, 1, 3, 5, dtype=torch.float64), "left").dtype == torch.float64
