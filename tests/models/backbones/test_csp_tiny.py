from __future__ import annotations

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.backbones.csp_tiny import CspTinyConfig, PartialBlock


def test_maps_have_the_promised_shapes_at_an_odd_size() -> None:
    backbone = CspTinyConfig(width=4, strides=(4, 8, 16, 32)).build().eval()
    channels = (8, 16, 32, 64)
    assert backbone.features.channels == channels
    maps = backbone(torch.randn(2, 3, 96, 160))
    assert [tuple(x.shape) for x in maps] == [
        (2, width, 96 // stride, 160 // stride) for width, stride in zip(channels, (4, 8, 16, 32), strict=True)
    ]


def test_what_comes_after_the_last_map_is_left_out() -> None:
    short = CspTinyConfig(width=4, strides=(8, 16)).build()
    assert not any(name.startswith("stride32") for name, _ in short.named_parameters())
    maps = short(torch.randn(2, 3, 64, 64))
    maps[-1].sum().backward()
    unused = [name for name, value in short.named_parameters() if value.grad is None]
    assert unused == []


@pytest.mark.parametrize("strides", [(), (16, 8), (16, 64), (2, 4), (8, 8)])
def test_other_strides_are_refused(strides: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"strides = .*: this backbone has maps of strides 4, 8, 16, 32; name"):
        CspTinyConfig(strides=strides).build()


def test_the_chain_sees_the_second_half_and_the_newest_output_stands_first() -> None:
    block = PartialBlock(4, act="identity").eval()
    x = torch.randn(1, 4, 3, 5)
    first, transition = block(x)
    assert torch.equal(first, block.first(x))
    one = block.chain[0](first[:, 2:])
    torch.testing.assert_close(transition, block.transition(torch.cat((block.chain[1](one), one), 1)))
