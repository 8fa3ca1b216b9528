from __future__ import annotations

import torch
from torch import nn

from sanderling.models import zoo


def test_both_have_thirteen_convolutions() -> None:
    for name in ("yolov3-tiny", "yolov3-tiny-prn"):
        with torch.device("meta"):
            network = zoo.config(name).build()
        assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) == 13


def test_the_debug_size_has_the_same_structure() -> None:
    with torch.device("meta"):
        whole, small = (zoo.config(name).build() for name in ("yolov3-tiny-prn", "yolov3-tiny-prn-debug"))
    assert [type(module) for module in small.modules()] == [type(module) for module in whole.modules()]
