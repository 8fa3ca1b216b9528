from __future__ import annotations

from typing import Any

import pytest
import torch

from sanderling.errors import ModelError
from sanderling.models.backbones.efficientnet import SCALES, EfficientNetConfig
from tests.support.layer_by_layer import require_same_maps


def test_it_is_torchvisions_network() -> None:
    from torchvision.models import efficientnet_b0

    torch.manual_seed(0)
    theirs = efficientnet_b0(weights=None).features.eval()
    ours = EfficientNetConfig(last_conv=True, strides=(4, 8, 16, 32)).build().eval()
    # The last stages of strides 4, 8 and 16, and the last convolution.
    require_same_maps(theirs, ours, after=(2, 3, 5, 8))


@pytest.mark.parametrize("size", ["b0", "b1", "b2", "b3"])
def test_every_size_has_torchvisions_parameters(size: str) -> None:
    import torchvision

    width, depth = SCALES[size]
    with torch.device("meta"):
        theirs = getattr(torchvision.models, f"efficientnet_{size}")(weights=None).features
        ours = EfficientNetConfig(width=width, depth=depth, last_conv=True).build()
    assert [value.shape for value in ours.parameters()] == [value.shape for value in theirs.parameters()]


def test_it_is_cut_after_any_block() -> None:
    width, depth = SCALES["b3"]
    with torch.device("meta"):
        whole: Any = EfficientNetConfig(width=width, depth=depth).build()
        cut: Any = EfficientNetConfig(width=width, depth=depth, keep=24, strides=(4, 8, 16, 32)).build()
        shorter: Any = EfficientNetConfig(width=width, depth=depth, keep=23).build()
    # 26 blocks, the last two of which have 384 channels.
    assert whole.features.channels == (48, 136, 384)
    assert cut.features.channels == (32, 48, 136, 232)
    assert len(whole.stride32) - len(cut.stride32) == 2
    assert len(cut.stride32) - len(shorter.stride32) == 1


def test_blocks_that_are_not_there_are_refused() -> None:
    with pytest.raises(ModelError, match=r"keep = 17: this EfficientNet has 16"):
        EfficientNetConfig(keep=17).build()
    with pytest.raises(ModelError, match=r"has maps of strides 2, 4, 8;"):
        EfficientNetConfig(keep=5).build()
