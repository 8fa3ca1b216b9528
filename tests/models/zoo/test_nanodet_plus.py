from __future__ import annotations

import pytest
import torch

from sanderling.analysis.cost import measure_cost
from sanderling.models import zoo
from sanderling.recipes.teaching import objective_of
from sanderling.training.detection import DetectionTaskConfig


@pytest.mark.parametrize(("name", "parameters"), [("nanodet-plus-m", 4_330_904), ("nanodet-plus-m-1.5x", 7_962_196)])
def test_parameters_with_the_branch_that_guides(name: str, parameters: int) -> None:
    config = zoo.config(name)
    with torch.device("meta"):
        task = DetectionTaskConfig(objective=objective_of(config)).build(config.build())
    assert sum(parameter.numel() for parameter in task.parameters()) == parameters


def test_parts_cost_what_the_published_parts_cost() -> None:
    cost = measure_cost(zoo.config("nanodet-plus-m"))
    parts = {part: cost.part(part).macs / 1e6 for part in ("backbone", "neck", "head")}
    assert parts == pytest.approx({"backbone": 416.0, "neck": 223.9, "head": 122.3}, abs=0.06)


def test_points_at_the_published_sizes() -> None:
    for name, points in (("nanodet-plus-m", 3598), ("nanodet-plus-m-320", 2125)):
        assert measure_cost(zoo.config(name)).part("head").outputs == (f"{points}x112",)


def test_state_has_the_published_keys() -> None:
    with torch.device("meta"):
        names = list(zoo.config("nanodet-plus-m").build().state_dict())
    # The published 645 have one more, the constant 0..7 that the coding computes.
    assert [sum(name.startswith(part) for name in names) for part in ("backbone.", "neck.", "head.")] == [330, 210, 104]


def test_pictures_are_stretched_and_points_lie_in_the_corners() -> None:
    config = zoo.config("nanodet-plus-m")
    assert config.picture.resize == "stretch"
    with torch.device("meta"):
        network = config.build()
    found = network(torch.zeros(1, 3, 96, 64, device="meta"))
    assert found.class_logits.shape == (1, 96 + 24 + 6 + 2, 80)
    assert network.head.prior_offset == 0
