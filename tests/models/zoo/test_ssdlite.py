from __future__ import annotations

import pytest
import torch

from sanderling.models import zoo
from sanderling.models.layers.same_padding import SameConv2d

NAMES = ("ssdlite-mobilenetv2", "ssdlite-mobilenetv3-large")


@pytest.mark.parametrize(("name", "channels"), [(NAMES[0], (576, 1280)), (NAMES[1], (672, 480))])
def test_maps_are_tapped_where_the_authors_tap_them(name: str, channels: tuple[int, int]) -> None:
    with torch.device("meta"):
        network = zoo.config(name).build()
    assert network.backbone.features.channels == channels
    assert network.neck.features.strides == (16, 32, 64, 128, 256, 512)


@pytest.mark.parametrize("name", [*NAMES, "ssdlite-debug", "ssdlite-mobiledet-cpu", "mobiledet-debug"])
def test_every_convolution_of_stride_two_is_padded_as_tensorflow_does(name: str) -> None:
    with torch.device("meta"):
        network = zoo.config(name).build()
    halving = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d) and module.stride[0] == 2]
    # Five in the backbone, one per extra level.
    assert len(halving) == 9
    assert all(isinstance(module, SameConv2d) for module in halving)


def test_pixels_go_in_from_minus_one_to_one() -> None:
    network = zoo.config("ssdlite-debug").build()
    images = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2).expand(1, 3, 32, 2)
    torch.testing.assert_close(network._normalise(images)[0, 0, 0], torch.tensor([-1.0, 1.0]))
