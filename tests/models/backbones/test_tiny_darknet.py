from __future__ import annotations

import pytest
import torch

from sanderling.models.backbones.tiny_darknet import TinyDarknetConfig


@pytest.mark.parametrize(("residual", "last"), [(False, 128), (True, 64)])
def test_maps_have_the_promised_shapes_at_an_odd_size(residual: bool, last: int) -> None:
    backbone = TinyDarknetConfig(width=2, residual=residual).build().eval()
    assert backbone.features.channels == (32, last)
    maps = backbone(torch.randn(2, 3, 96, 160))
    assert [tuple(x.shape) for x in maps] == [(2, 32, 6, 10), (2, last, 3, 5)]


def test_the_residual_adds_what_the_last_pool_was_given() -> None:
    torch.manual_seed(0)
    backbone = TinyDarknetConfig(width=2, residual=True).build().eval()
    images = torch.randn(1, 3, 64, 96)
    fine, coarse = backbone(images)
    before = backbone.stride32(fine)
    added = before + backbone.last(backbone.pool(before))
    torch.testing.assert_close(coarse, torch.where(added > 0, added, 0.1 * added))
