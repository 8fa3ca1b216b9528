from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sanderling.ops.tensor.distributed import maximum_over_processes, mean_over_processes
from tests.support.two_processes import in_two_processes


def test_alone_it_is_the_value_itself() -> None:
    value = torch.tensor(3.0)
    assert mean_over_processes(value) is value
    assert maximum_over_processes(value) is value


def _work(rank: int) -> dict[str, Any]:
    value = torch.tensor(3.0 + 4 * rank, requires_grad=True)
    mean = mean_over_processes(value)
    largest = maximum_over_processes(torch.tensor([rank, 7, 1 - rank], dtype=torch.uint8)).tolist()
    return {"mean": mean.item(), "value": value.item(), "needs_gradient": mean.requires_grad, "largest": largest}


@pytest.mark.slow
def test_two_processes_get_the_same_and_keep_their_value(tmp_path: Path) -> None:
    first, second = in_two_processes(_work, tmp_path)
    assert first["mean"] == second["mean"] == 5
    assert (first["value"], second["value"]) == (3, 7)
    assert not first["needs_gradient"]
    assert first["largest"] == second["largest"] == [1, 7, 1]
