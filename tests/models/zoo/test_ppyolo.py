from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from torch import nn

from sanderling.analysis.cost import measure_cost
from sanderling.models import zoo
from sanderling.models.layers.coord_conv import CoordConv
from sanderling.models.layers.deformable import DeformableConv
from sanderling.models.layers.drop_block import DropBlock
from sanderling.models.layers.pyramid_pool import PyramidPool
from sanderling.models.network import DetectorConfig
from sanderling.models.zoo.ppyolo import ENTRIES
from sanderling.structures.artefact import MatrixNms, PostprocessRule


def _parts(config: DetectorConfig) -> set[type[nn.Module]]:
    with torch.device("meta"):
        network = config.build()
    return {type(module) for module in network.modules()} & {CoordConv, DeformableConv, DropBlock, PyramidPool}


def _same_network(first: str, second: str) -> bool:
    named = dataclasses.replace(zoo.config(second), name=first)
    return zoo.config(first) == named


@pytest.mark.parametrize(
    ("step", "others"),
    [
        ("c", "d"),  # IoU loss
        ("i", "jk"),  # ImageNet weights, epochs
    ],
)
def test_steps_of_training_keep_the_detector(step: str, others: str) -> None:
    assert all(_same_network(f"ppyolo-step-{step}", f"ppyolo-step-{other}") for other in others)


def test_matrix_nms_changes_nothing_else() -> None:
    before, after = (zoo.config(f"ppyolo-step-{letter}") for letter in "fg")
    assert dataclasses.replace(before, name=after.name, postprocess=after.postprocess) == after
    assert after.postprocess == PostprocessRule(score=0.01, max_detections=100, suppression=MatrixNms(decay="linear"))


def test_who_suppresses_how() -> None:
    kinds = {entry.name: zoo.config(entry.name).postprocess.suppression.kind for entry in ENTRIES}
    matrix = {name for name, kind in kinds.items() if kind == "matrix"}
    assert matrix == {
        *(f"ppyolo-step-{letter}" for letter in "ghijk"),
        "ppyolo-r50vd-dcn",
        "ppyolo-r18vd",
        "ppyolov2-r50vd-dcn",
        "ppyolov2-r101vd-dcn",
    }
    assert set(kinds.values()) == {"matrix", "greedy"}
    assert {zoo.config(name).postprocess.iou for name in kinds.keys() - matrix} == {0.45}


def test_steps_that_are_another_detector() -> None:
    assert _same_network("ppyolo-step-a", "yolov3-darknet53")
    assert _same_network("ppyolo-step-b", "yolov3-resnet50vd-dcn")
    assert _same_network("ppyolo-step-k", "ppyolo-r50vd-dcn")


def test_each_step_of_the_network_adds_its_part() -> None:
    parts = [_parts(zoo.config(f"ppyolo-step-{letter}")) for letter in "abcehi"]
    added = [sorted(kind.__name__ for kind in new - old) for old, new in itertools.pairwise(parts)]
    assert added == [["DeformableConv"], ["DropBlock"], [], ["CoordConv"], ["PyramidPool"]]
    heads = [zoo.config(f"ppyolo-step-{letter}").head for letter in "def"]
    assert [head.iou_aware for head in heads] == [False, True, True]  # type: ignore[union-attr]
    assert [head.scale_xy for head in heads] == [1, 1, 1.05]  # type: ignore[union-attr]


def test_parts_cost_what_the_published_parts_cost() -> None:
    with torch.device("meta"):
        network = zoo.config("ppyolo-r50vd-dcn").build()
    outputs = network.head.get_submodule("outputs").children()
    counts = [sum(value.numel() for value in output.parameters()) for output in outputs]
    assert counts == [66_306, 132_354, 264_450]
    assert sum(value.numel() for value in network.backbone.parameters()) == 23_900_593
    statistics = [buffer.numel() for name, buffer in network.named_buffers() if ".running_" in name]
    assert sum(statistics) == 71_168


@pytest.mark.parametrize(("step", "without"), [("b", 44.71), ("i", 45.12)])
def test_the_figures_without_deformable_convolutions_are_the_printed_ones(step: str, without: float) -> None:
    config = zoo.config(f"ppyolo-step-{step}")
    macs = measure_cost(config).macs - 3 * 512 * 512 * 9 * 19**2
    assert macs / 2**30 == pytest.approx(without, abs=0.005)


def test_tiny_has_as_many_statistics_as_published() -> None:
    with torch.device("meta"):
        network = zoo.config("ppyolo-tiny").build()
    assert sum(buffer.numel() for name, buffer in network.named_buffers() if ".running_" in name) == 15_984


def test_the_debug_size_has_all_switches() -> None:
    config = zoo.config("ppyolo-debug")
    assert _parts(config) == _parts(zoo.config("ppyolo-r50vd-dcn"))
    assert config.head == zoo.config("ppyolo-r50vd-dcn").head
    cost = measure_cost(config)
    assert cost.parameters < 400_000
    assert cost.macs < 60e6
