from __future__ import annotations

import pytest

from sanderling.analysis.cost import measure_cost
from sanderling.errors import ModelError
from sanderling.models import zoo

DEBUG = zoo.config("nanodet-debug", ("fire", "smoke"))


def test_stages_sum_to_the_totals() -> None:
    cost = measure_cost(DEBUG)
    assert sum(stage.parameters for stage in cost.stages) == cost.parameters
    assert sum(stage.macs for stage in cost.stages) == cost.macs
    assert cost.parameters == sum(parameter.numel() for parameter in DEBUG.build().parameters())


def test_the_stem_by_hand() -> None:
    stem = measure_cost(DEBUG, (64, 96)).part("backbone.conv1")
    assert stem.macs == 32 * 48 * 16 * 3 * 3 * 3
    assert stem.parameters == 16 * 3 * 3 * 3 + 2 * 16
    assert stem.outputs == ("16x32x48",)


def test_the_head_by_hand_at_a_size_that_is_not_square() -> None:
    head = measure_cost(DEBUG, (64, 96)).part("head")
    points = 8 * 12 + 4 * 6 + 2 * 3
    outputs = 2 + 32
    assert head.macs == points * (48 * 9 + 48 * 48 + 48 * outputs)
    assert head.outputs == (f"{points}x{outputs}",)


def test_cost_grows_with_the_picture_and_parameters_do_not() -> None:
    small, large = measure_cost(DEBUG, (64, 96)), measure_cost(DEBUG, (128, 192))
    assert large.macs == 4 * small.macs
    assert large.parameters == small.parameters


def test_the_size_is_the_models_own_by_default() -> None:
    assert measure_cost(DEBUG).size_hw == DEBUG.picture.size_hw


def test_parts_and_sizes_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no stage 'tail'.*head"):
        measure_cost(DEBUG).part("tail")
    with pytest.raises(ModelError, match="70x64"):
        measure_cost(DEBUG, (70, 64))
