from __future__ import annotations

import pytest
import torch

from sanderling.analysis.cost import measure_cost
from sanderling.models import zoo
from sanderling.models.zoo.nanodet import nanodet_m


@pytest.mark.parametrize("name", ["nanodet-m", "nanodet-m-416"])
def test_counts_are_the_published_ones(name: str) -> None:
    published = zoo.entry(name).published
    assert published is not None
    cost = measure_cost(zoo.config(name))
    assert cost.parameters == published.parameters == 959_348
    assert cost.macs == pytest.approx(published.macs, rel=2e-4)


def test_parts_cost_what_the_published_parts_cost() -> None:
    cost = measure_cost(zoo.config("nanodet-m"))
    parts = {part: cost.part(part).macs / 1e6 for part in ("backbone", "neck", "head")}
    assert parts == pytest.approx({"backbone": 246.1, "neck": 31.2, "head": 64.9}, abs=0.06)


def test_unused_parameters_are_counted() -> None:
    with torch.device("meta"):
        parameters = dict(nanodet_m([str(number) for number in range(80)]).build().named_parameters())
    unused = [value for name, value in parameters.items() if name.startswith(zoo.entry("nanodet-m").unused_parameters)]
    assert sum(value.numel() for value in unused) == 9_312


def test_state_has_the_published_keys() -> None:
    with torch.device("meta"):
        names = list(nanodet_m([str(number) for number in range(80)]).build().state_dict())
    # The published 421 have one more, the constant 0..7 that the coding computes.
    assert len(names) == 420
    assert [sum(name.startswith(part) for name in names) for part in ("backbone.", "neck.", "head.")] == [330, 6, 84]


def test_points_at_the_published_sizes() -> None:
    for name, points in (("nanodet-m", 2100), ("nanodet-m-416", 3549)):
        assert measure_cost(zoo.config(name)).part("head").outputs == (f"{points}x112",)
