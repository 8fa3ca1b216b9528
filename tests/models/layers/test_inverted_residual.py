from __future__ import annotations

import torch
from torch import nn

from sanderling.models.layers.inverted_residual import InvertedResidual


def _block(channels_in: int = 8, channels_out: int = 8, *, expanded: int = 24, stride: int = 1) -> InvertedResidual:
    torch.manual_seed(0)
    return InvertedResidual(channels_in, channels_out, expanded=expanded, stride=stride, act="relu6").eval()


def test_ends_of_one_shape_are_added_and_the_last_convolution_is_linear() -> None:
    block = _block()
    x = torch.randn(2, 8, 7, 9)
    assert block.expand is not None
    inner = block.project.norm(block.project.conv(block.depthwise(block.expand(x))))
    torch.testing.assert_close(block(x), x + inner)
    assert (inner < 0).any()


def test_ends_of_other_shapes_are_not_added() -> None:
    for block in (_block(channels_out=12), _block(stride=2)):
        x = torch.randn(1, 8, 7, 9)
        assert block.expand is not None
        torch.testing.assert_close(block(x), block.project(block.depthwise(block.expand(x))))
    assert _block(stride=2)(torch.randn(1, 8, 7, 9)).shape == (1, 8, 4, 5)


def test_nothing_is_expanded_where_the_widths_are_the_same_unless_asked_for() -> None:
    assert _block(expanded=8).expand is None
    assert InvertedResidual(8, 8, expanded=8, always_expand=True, act="relu").expand is not None


def test_squeeze_stands_behind_the_depthwise_convolution() -> None:
    block = InvertedResidual(8, 12, expanded=24, squeezed=2, act="silu").eval()
    x = torch.randn(1, 8, 6, 5)
    assert block.expand is not None
    assert block.squeeze is not None
    inner = block.depthwise(block.expand(x))
    torch.testing.assert_close(block(x), block.project(block.squeeze(inner)))
    assert block.squeeze.reduce.weight.shape == (2, 24, 1, 1)


def test_parameters_by_hand() -> None:
    count = sum(parameter.numel() for parameter in _block(8, 12, expanded=24).parameters())
    assert count == (8 * 24 + 2 * 24) + (9 * 24 + 2 * 24) + (24 * 12 + 2 * 12)


def test_normalisation_has_the_authors_constant() -> None:
    assert {module.eps for module in _block().modules() if isinstance(module, nn.BatchNorm2d)} == {1e-3}
