from __future__ import annotations

import pytest

from sanderling.analysis.cost import measure_cost
from sanderling.models import zoo

_GIMAC = 2**30


def _classes(count: int) -> list[str]:
    return [f"class {number}" for number in range(count)]


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [
        ("yolov3-mobilenetv1", 20, 24_248_097),
        ("yolov3-mobilenetv1", 4, 24_161_937),
        ("yolov3-resnet34", 20, 41_985_953),
    ],
)
def test_parameters_for_other_classes(name: str, classes: int, parameters: int) -> None:
    assert measure_cost(zoo.config(name, _classes(classes)), (320, 320)).parameters == parameters


@pytest.mark.parametrize(
    ("name", "classes", "macs"),
    [
        ("yolov3-mobilenetv1", 80, {608: 20.64, 416: 9.66, 320: 5.72}),
        ("yolov3-mobilenetv1", 20, {608: 20.20, 416: 9.46, 320: 5.60}),
        ("yolov3-mobilenetv1", 4, {608: 20.09, 416: 9.41, 320: 5.57}),
        ("yolov3-resnet34", 80, {608: 41.70, 416: 19.52, 320: 11.55}),
    ],
)
def test_multiply_adds_at_the_published_sizes(name: str, classes: int, macs: dict[int, float]) -> None:
    config = zoo.config(name, _classes(classes))
    found = {side: measure_cost(config, (side, side)).macs / _GIMAC for side in macs}
    # Printed figures are rounded, those for 4 classes at 416 and 320 twice.
    assert found == pytest.approx(macs, abs=0.0055)


def test_parts_hold_what_the_published_parts_hold() -> None:
    cost = measure_cost(zoo.config("yolov3-mobilenetv1"), (320, 320))
    blocks, transitions, outputs = (15_737_856, 4_002_304, 1_001_728), (131_584, 33_024), (261_375, 130_815, 65_535)
    assert cost.part("backbone").parameters == 3_206_976
    assert cost.part("neck").parameters == sum(blocks) + sum(transitions)
    assert cost.part("head").parameters == sum(outputs)


def test_the_debug_size_has_the_structure_of_the_mobilenetv1_one() -> None:
    whole, debug = zoo.config("yolov3-mobilenetv1"), zoo.config("yolov3-debug")
    assert type(debug.backbone) is type(whole.backbone)
    assert type(debug.neck) is type(whole.neck)
    assert debug.head == whole.head
    assert debug.postprocess == whole.postprocess
    cost = measure_cost(debug)
    assert cost.parameters <= 400_000
    assert cost.macs <= 60_000_000
