from __future__ import annotations

import pytest
import torch

from sanderling.analysis.cost import measure_cost
from sanderling.models import zoo

# Millions of multiply-adds of backbone, neck and head, and points, where the sheet gives them.
PARTS = {
    "nanodet-m": (246.1, 31.2, 64.9, "2100x112"),
    "nanodet-m-416": (416.0, 52.7, 109.7, "3549x112"),
    "nanodet-m-0.5x": (60.9, 12.9, 64.9, "2100x112"),
    "nanodet-m-1.5x": (529.4, 63.1, 103.8, "2100x112"),
    "nanodet-t": (246.1, 180.8, 103.8, "2100x112"),
    "nanodet-g": (1432.9, 77.5, 579.7, "3549x124"),
    "nanodet-efficientnet-lite0": (742.5, 13.5, 64.9, "2100x112"),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_cost_what_the_published_parts_cost(name: str) -> None:
    cost = measure_cost(zoo.config(name))
    *parts, points = PARTS[name]
    assert [cost.part(part).macs / 1e6 for part in ("backbone", "neck", "head")] == pytest.approx(parts, abs=0.06)
    assert cost.part("head").outputs == (points,)


def test_repvgg_is_counted_merged_and_trained_in_branches() -> None:
    config = zoo.config("nanodet-repvgg-a0")
    training, merged = measure_cost(config), measure_cost(config.merged())
    assert training.parameters == 7_404_408
    assert training.macs / 1e6 == pytest.approx(6127.1, abs=0.06)
    assert (training.part("backbone").parameters, merged.part("backbone").parameters) == (6_350_336, 5_700_512)


@pytest.mark.parametrize(("name", "unused"), [("nanodet-m", 9_312), ("nanodet-t", 12_384 + 16_512)])
def test_unused_parameters_are_counted(name: str, unused: int) -> None:
    with torch.device("meta"):
        parameters = dict(zoo.config(name).build().named_parameters())
    found = [value for key, value in parameters.items() if key.startswith(zoo.entry(name).unused_parameters)]
    assert sum(value.numel() for value in found) == unused
    assert not any(value.requires_grad for value in found)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("nanodet-m", 421),
        ("nanodet-t", 450),
        ("nanodet-g", 187),
        ("nanodet-efficientnet-lite0", 379),
        ("nanodet-efficientnet-lite1", 505),
        ("nanodet-efficientnet-lite2", 541),
        ("nanodet-repvgg-a0", 404),
    ],
)
def test_state_has_as_many_keys_as_published(name: str, keys: int) -> None:
    with torch.device("meta"):
        names = list(zoo.config(name).build().state_dict())
    # The published ones have one more, the constant 0, 1, 2 ... that the coding computes.
    assert len(names) == keys - 1


def test_pictures_are_normalised_as_each_backbone_was_trained() -> None:
    means = {name: zoo.config(name).normalisation.mean for name in ("nanodet-m", "nanodet-efficientnet-lite1")}
    assert means == {"nanodet-m": (123.675, 116.28, 103.53), "nanodet-efficientnet-lite1": (127, 127, 127)}
