from __future__ import annotations

import torch

from sanderling.models.backbones.custom_csp import CspBlock, CustomCspConfig


def test_maps_have_the_promised_shapes_at_an_odd_size() -> None:
    backbone = CustomCspConfig(stem=4, pairs=(1, 1, 2, 1)).build().eval()
    assert backbone.features.channels == (16, 32, 64)
    assert backbone.features.strides == (8, 16, 32)
    maps = backbone(torch.randn(1, 3, 75, 133))
    assert [tuple(x.shape[1:]) for x in maps] == [(16, 10, 17), (32, 5, 9), (64, 3, 5)]


def test_a_block_hands_its_first_convolution_on_beside_what_it_made_of_it() -> None:
    block = CspBlock(6, pairs=2, stride=2, act="leaky_relu").eval()
    x = torch.randn(2, 6, 9, 5)
    found = block(x)
    assert found.shape == (2, 12, 5, 3)
    first = block.in_conv(x)
    torch.testing.assert_close(found[:, 6:], first)
    for pair in block.res_blocks:
        half = pair.get_submodule("in_conv")(first)
        first = torch.cat((pair.get_submodule("mid_conv")(half), half), 1)
    torch.testing.assert_close(found[:, :6], block.res_out_conv(first))
