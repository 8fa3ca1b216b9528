from __future__ import annotations

import torch

from sanderling.models.layers.partial_residual import add_first_channels


def _maps(first: int, second: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, first, 3, 5), torch.randn(2, second, 3, 5)


def test_only_the_first_channels_are_added() -> None:
    x, identity = _maps(6, 6)
    y = add_first_channels(x, identity, 2)
    assert torch.equal(y[:, :2], x[:, :2] + identity[:, :2])
    assert torch.equal(y[:, 2:], x[:, 2:])


def test_all_channels_make_it_the_common_sum() -> None:
    x, identity = _maps(6, 6)
    assert torch.equal(add_first_channels(x, identity, 6), x + identity)


def test_maps_of_different_widths_are_added_where_both_have_channels() -> None:
    for first, second in ((6, 4), (4, 6)):
        x, identity = _maps(first, second)
        y = add_first_channels(x, identity, 4)
        assert y.shape == x.shape
        assert torch.equal(y[:, :4], x[:, :4] + identity[:, :4])
        assert torch.equal(y[:, 4:], x[:, 4:])


def test_masked_channels_get_no_gradient_through_the_identity() -> None:
    x, identity = _maps(6, 6)
    identity.requires_grad_()
    add_first_channels(x, identity, 3).sum().backward()
    assert identity.grad is not None
    assert (identity.grad[:, :3] == 1).all()
    assert (identity.grad[:, 3:] == 0).all()
