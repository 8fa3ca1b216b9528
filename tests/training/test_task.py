from __future__ import annotations

from collections.abc import Mapping

import pytest
from torch import Tensor, nn

from sanderling.models import zoo
from sanderling.structures.batch import Batch
from sanderling.training.task import Task


class Teaching(Task):
    """A task with a module of its own that does not ship."""

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"class": batch.images.float().mean()}


def test_a_task_has_to_say_its_losses() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Task(zoo.config("nanodet-debug").build())  # type: ignore[abstract]


def test_what_teaches_is_inside_the_task_and_not_inside_what_ships() -> None:
    task = Teaching(zoo.config("nanodet-debug").build())
    shipped = {id(parameter) for parameter in task.network.parameters()}
    task.guide = nn.Linear(2, 3)
    learned = {id(parameter) for parameter in task.parameters()}
    assert shipped < learned
    assert {id(parameter) for parameter in task.network.parameters()} == shipped
