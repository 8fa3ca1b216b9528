from __future__ import annotations

import pytest
import torch

from sanderling.models import zoo
from sanderling.models.heads.yolo import YoloHead
from sanderling.models.weights.darknet_file import darknet_order


@pytest.mark.parametrize(("name", "numbers"), [("yolo-fastest-1.1", 346_062), ("mobilenetv2-yolov3-nano", 891_070)])
def test_the_networks_take_all_numbers_of_the_published_files(name: str, numbers: int) -> None:
    steps = darknet_order(zoo.config(name))
    assert numbers == sum(
        step.conv.weight.numel() + step.conv.out_channels * (1 if step.norm is None else 4) for step in steps
    )


def test_each_level_of_nano_has_its_own_reach() -> None:
    with torch.device("meta"):
        head = zoo.config("mobilenetv2-yolov3-nano").build().head
    assert isinstance(head, YoloHead)
    assert head.coding.scales(torch.tensor([16.0, 32.0])).flatten().tolist() == pytest.approx([1.05, 1.1])


def test_the_debug_size_has_the_same_kinds_of_parts() -> None:
    with torch.device("meta"):
        whole, small = (zoo.config(name).build() for name in ("yolo-fastest-1.1", "yolo-fastest-debug"))
    assert {type(module) for module in small.modules()} == {type(module) for module in whole.modules()}
    assert [type(module) for module in small.neck.modules()] == [type(module) for module in whole.neck.modules()]
