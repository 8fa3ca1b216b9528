from __future__ import annotations

from typing import Any

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.backbones.mobilenet_v2 import MobileNetV2Config
from sanderling.models.features import FeatureSpec
from tests.support.layer_by_layer import copy_in_order, require_same_maps


def test_it_is_torchvisions_network() -> None:
    from torchvision.models import mobilenet_v2

    torch.manual_seed(0)
    theirs = mobilenet_v2(weights=None).features.eval()
    ours = MobileNetV2Config(last_conv=True, strides=(4, 8, 16, 32)).build().eval()
    # The last blocks of strides 4, 8 and 16, and the last convolution.
    require_same_maps(theirs, ours, after=(3, 6, 13, 18))


def test_it_is_cut_after_any_block() -> None:
    whole: Any = MobileNetV2Config(width=0.25, strides=(4, 8, 16)).build().eval()
    cut = MobileNetV2Config(width=0.25, keep=12, strides=(4, 8, 16)).build().eval()
    assert cut.features == FeatureSpec((8, 8, 24), (4, 8, 16))
    missing, unexpected = cut.load_state_dict(whole.state_dict(), strict=False)
    assert missing == []
    # Of the stage of stride 16 the seventh block is left out.
    assert {name.rsplit(".", 3)[0] for name in unexpected} == {"stride16.6"}
    x = torch.randn(1, 3, 64, 96)
    torch.testing.assert_close(cut(x)[:2], whole(x)[:2])
    torch.testing.assert_close(cut(x)[2], whole.stride16[:6](whole(x)[1]))


@pytest.mark.parametrize(("width", "channels"), [(0.75, (24, 24, 72, 120)), (1.4, (32, 48, 136, 224))])
def test_widths_are_rounded_as_in_keras(width: float, channels: tuple[int, ...]) -> None:
    with torch.device("meta"):
        backbone = MobileNetV2Config(width=width, keep=16, strides=(4, 8, 16, 32)).build()
    assert backbone.features.channels == channels


@pytest.mark.parametrize(("width", "channels"), [(0.5, 1280), (1.4, 1792)])
def test_the_last_convolution_gets_wider_but_not_narrower(width: float, channels: int) -> None:
    with torch.device("meta"):
        assert MobileNetV2Config(width=width, last_conv=True).build().features.channels[-1] == channels


def test_depth_scales_the_blocks_of_each_stage_rounded_up() -> None:
    with torch.device("meta"):
        stages: dict[str, Any] = dict(MobileNetV2Config(depth=0.5).build().named_children())
    # Half of 1, 2, 3, 4, 3, 3, 1.
    assert {name: len(stage) for name, stage in stages.items()} == {
        "stride2": 2,
        "stride4": 1,
        "stride8": 2,
        "stride16": 4,
        "stride32": 3,
    }


def test_maps_of_expansions_are_those_inside_the_next_stage() -> None:
    plain: Any = MobileNetV2Config(width=0.25, strides=(8, 16, 32)).build().eval()
    tapped = MobileNetV2Config(width=0.25, strides=(8, 16, 32), tap="expansion").build().eval()
    copy_in_order(plain, tapped)
    x = torch.randn(1, 3, 96, 64)
    outputs, expansions = plain(x), tapped(x)
    assert tapped.features.channels == (6 * 8, 6 * 24, 80)
    torch.testing.assert_close(expansions[0], plain.stride16[0].expand(outputs[0]))
    torch.testing.assert_close(expansions[1], plain.stride32[0].expand(outputs[1]))
    torch.testing.assert_close(expansions[2], outputs[2])


def test_padding_as_in_tensorflow_shifts_pictures_of_even_size() -> None:
    torch.manual_seed(0)
    symmetric = MobileNetV2Config(width=0.25, keep=2, strides=(4,)).build().eval()
    same = MobileNetV2Config(width=0.25, keep=2, strides=(4,), padding="same").build().eval()
    copy_in_order(symmetric, same)
    x = torch.randn(1, 3, 64, 96)
    assert same(x)[0].shape == symmetric(x)[0].shape
    assert not torch.allclose(same(x)[0], symmetric(x)[0])


def test_blocks_that_are_not_there_are_refused() -> None:
    with pytest.raises(ModelError, match=r"keep = 18: this MobileNetV2 has 17"):
        MobileNetV2Config(keep=18).build()
    with pytest.raises(ModelError, match=r"strides = \(8, 16, 32\).*has maps of strides 2, 4, 8, 16;"):
        MobileNetV2Config(keep=13).build()
