from __future__ import annotations

import torch
from torch import nn

from sanderling.models import zoo
from sanderling.objectives.anchor_ratio import YOLOV7_TINY
from sanderling.recipes.teaching import objective_of


def test_the_debug_size_has_the_same_structure() -> None:
    with torch.device("meta"):
        whole, small = (zoo.config(name).build() for name in ("yolov7-tiny", "yolov7-tiny-debug"))
    assert [type(module) for module in small.modules()] == [type(module) for module in whole.modules()]
    assert sum(isinstance(module, nn.Conv2d) for module in whole.modules()) == 58


def test_it_is_taught_by_anchor_ratios_with_its_own_weights() -> None:
    assert objective_of(zoo.config("yolov7-tiny")) == YOLOV7_TINY
