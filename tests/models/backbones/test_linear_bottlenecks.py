from __future__ import annotations

import pytest
import torch
from torch import nn

from sanderling.errors import ModelError
from sanderling.models.backbones.linear_bottlenecks import LinearBottlenecksConfig, Row

ROWS: tuple[Row, ...] = ((6, 4, 1, 2), (8, 5, 2, 1), (10, 6, 2, 2), (12, 7, 2, 1), (14, 8, 2, 1))


@pytest.mark.parametrize(("tap", "fine"), [("output", 7), ("expansion", 14)])
def test_maps_have_the_promised_shapes_at_an_odd_size(tap: str, fine: int) -> None:
    backbone = LinearBottlenecksConfig(stem=6, rows=ROWS, act="relu", tap=tap).build().eval()  # type: ignore[arg-type]
    assert backbone.features.channels == (fine, 8)
    maps = backbone(torch.randn(2, 3, 96, 160))
    assert [tuple(x.shape) for x in maps] == [(2, fine, 6, 10), (2, 8, 3, 5)]


def test_where_it_is_tapped_changes_no_convolution() -> None:
    plain = LinearBottlenecksConfig(stem=6, rows=ROWS, act="relu", tap="output").build()
    tapped = LinearBottlenecksConfig(stem=6, rows=ROWS, act="relu", tap="expansion").build()
    assert [tuple(value.shape) for value in tapped.parameters()] == [tuple(value.shape) for value in plain.parameters()]


def test_blocks_that_change_no_channels_expand_only_if_always_asked_to() -> None:
    kernels = [
        sum(isinstance(module, nn.Conv2d) for module in config.build().modules())
        for config in (
            LinearBottlenecksConfig(stem=6, rows=ROWS, act="relu", always_expand=always) for always in (False, True)
        )
    ]
    assert kernels == [1 + 3 * 7 - 1, 1 + 3 * 7]


def test_dropout_stands_in_blocks_that_add_and_is_off_in_eval() -> None:
    backbone = LinearBottlenecksConfig(stem=6, rows=ROWS, act="relu", dropout=0.5).build()
    assert sum(isinstance(module, nn.Dropout) for module in backbone.modules()) == 2
    images = torch.randn(1, 3, 64, 64)
    backbone.eval()
    assert torch.equal(backbone(images)[0], backbone(images)[0])
    for module in backbone.modules():
        module.train(isinstance(module, nn.Dropout))
    assert not torch.equal(backbone(images)[0], backbone(images)[0])


def test_rows_that_end_too_early_are_refused() -> None:
    with pytest.raises(ModelError, match="has maps of strides 2, 4, 8, 16;"):
        LinearBottlenecksConfig(stem=6, rows=ROWS[:-1], act="relu").build()
