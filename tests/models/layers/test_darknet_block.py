from __future__ import annotations

import pytest
import torch

from sanderling.models.layers.darknet_block import DarknetBlock


@pytest.mark.parametrize(("share", "added"), [(1.0, 6), (0.5, 3), (0.0, 0)])
def test_the_input_is_added_on_its_share_of_the_channels(share: float, added: int) -> None:
    block = DarknetBlock(6, 6, hidden=3, share=share, act="leaky_relu").eval()
    x = torch.randn(2, 6, 5, 9)
    worked = block.expand(block.reduce(x))
    expected = worked.clone()
    expected[:, :added] += x[:, :added]
    torch.testing.assert_close(block(x), expected)


def test_without_an_identity_the_width_may_change() -> None:
    assert DarknetBlock(6, 10, hidden=4, share=0, act="silu")(torch.randn(2, 6, 5, 9)).shape == (2, 10, 5, 9)


def test_the_share_costs_no_parameters() -> None:
    counts = {
        sum(p.numel() for p in DarknetBlock(8, 8, hidden=4, share=share, act="silu").parameters())
        for share in (0.0, 0.5, 1.0)
    }
    # 1x1 8 -> 4, 3x3 4 -> 8, and scale and shift of both norms.
    assert counts == {8 * 4 + 2 * 4 + 4 * 8 * 9 + 2 * 8}
