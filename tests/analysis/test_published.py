from __future__ import annotations

import dataclasses

import torch
from torch import nn

from sanderling.analysis.cost import measure_cost
from sanderling.analysis.published import count_as_published
from sanderling.models import zoo


def test_an_entry_is_counted_for_the_classes_of_its_figures() -> None:
    entry = zoo.entry("nanodet-debug")
    few = count_as_published(dataclasses.replace(entry, counted_classes=2))
    many = count_as_published(dataclasses.replace(entry, counted_classes=12))
    assert few.parameters == measure_cost(zoo.config("nanodet-debug", ("a", "b"))).parameters
    # Ten rows of 48 channels and a bias, on three levels.
    assert many.parameters - few.parameters == 10 * 49 * 3


def test_parameters_are_left_out_and_statistics_added_where_the_entry_says_so() -> None:
    entry = zoo.entry("nanodet-debug")
    plain = count_as_published(entry)
    without = count_as_published(dataclasses.replace(entry, uncounted_parameters=("neck.", "head.gfl_cls.0.bias")))
    assert plain.parameters - without.parameters == (32 + 64 + 128) * 48 + 3 * 48 + 80 + 32
    with_statistics = count_as_published(dataclasses.replace(entry, counts_statistics=True))
    norms = [module for module in zoo.config(entry.name).build().modules() if isinstance(module, nn.BatchNorm2d)]
    without_norms = count_as_published(dataclasses.replace(entry, counts_norms=False))
    channels = sum(norm.num_features for norm in norms)
    assert with_statistics.parameters - plain.parameters == plain.parameters - without_norms.parameters == 2 * channels


def test_unused_parameters_are_counted_and_named() -> None:
    counted = count_as_published(zoo.entry("nanodet-m"))
    assert (counted.parameters, counted.unused_parameters) == (959_348, 9_312)
    assert torch.get_default_device() == torch.device("cpu")
