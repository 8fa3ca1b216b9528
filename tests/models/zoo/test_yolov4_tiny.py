from __future__ import annotations

import torch
from torch import nn

from sanderling.models import zoo
from sanderling.models.zoo.yolov4_tiny import HEAD, HEAD_3L

# Of the published cfg file; its masks are 3, 4, 5 at stride 32 and 1, 2, 3 at stride 16.
SIX = [(10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319)]


def test_anchors_are_those_of_the_masks() -> None:
    fine, coarse = HEAD.anchors
    assert list(fine) == [SIX[1], SIX[2], SIX[3]]
    assert list(coarse) == [SIX[3], SIX[4], SIX[5]]


def test_three_levels_have_nine_anchors_from_small_to_large() -> None:
    areas = [width * height for level in HEAD_3L.anchors for width, height in level]
    assert len(areas) == 9
    assert areas == sorted(areas)


def test_the_debug_size_has_the_same_structure() -> None:
    with torch.device("meta"):
        whole, small = (zoo.config(name).build() for name in ("yolov4-tiny", "yolov4-tiny-debug"))
    assert [type(module) for module in small.modules()] == [type(module) for module in whole.modules()]
    assert sum(isinstance(module, nn.Conv2d) for module in whole.modules()) == 21
