from __future__ import annotations

import dataclasses

import pytest
import torch

from sanderling.objectives.assigners.assignment import Assignment


def test_it_is_a_value_by_name_and_does_not_change() -> None:
    nothing = torch.zeros(0, dtype=torch.int64)
    assigned = Assignment(pictures=nothing, points=nothing, boxes=nothing)
    assert len(assigned.points) == 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        assigned.points = nothing  # type: ignore[misc]
