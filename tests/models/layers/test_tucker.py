from __future__ import annotations

import pytest
import torch

from sanderling.models.layers.bottleneck_style import BottleneckStyle
from sanderling.models.layers.tucker import Tucker

STYLE = BottleneckStyle(act="relu6")


@pytest.mark.parametrize(
    ("channels_in", "block", "inner"),
    [
        # As in the published networks: 12 becomes 16 and 4 becomes 8.
        (32, Tucker(channels=16, ratio_in=0.25, ratio_out=0.75), (8, 16)),
        (32, Tucker(channels=32, ratio_in=0.25, ratio_out=0.75), (8, 24)),
        (160, Tucker(channels=160, ratio_in=0.75, ratio_out=0.75), (120, 120)),
        (32, Tucker(channels=16), (8, 8)),
    ],
)
def test_inner_widths(channels_in: int, block: Tucker, inner: tuple[int, int]) -> None:
    made = block.build(channels_in, style=STYLE)
    assert made.full.conv.weight.shape == (inner[1], inner[0], 3, 3)
    assert made.compress.conv.in_channels == channels_in
    assert made.project.conv.out_channels == block.channels


def test_ends_are_added_only_where_the_block_says_so() -> None:
    torch.manual_seed(0)
    plain = Tucker(channels=16).build(16, style=STYLE).eval()
    adding = Tucker(channels=16, residual=True).build(16, style=STYLE).eval()
    adding.load_state_dict(plain.state_dict())
    x = torch.randn(1, 16, 5, 7)
    torch.testing.assert_close(plain(x), plain.project(plain.full(plain.compress(x))))
    torch.testing.assert_close(adding(x), plain(x) + x)


def test_stride_rounds_up() -> None:
    assert Tucker(channels=24, stride=2).build(16, style=STYLE).eval()(torch.randn(1, 16, 7, 10)).shape == (1, 24, 4, 5)
