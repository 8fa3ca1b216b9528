"""An objective teaches the heads it was made for: others would train on numbers that mean something else."""

from __future__ import annotations

from sanderling.errors import ModelError
from sanderling.structures.predictions import Predictions


def expect_coding(predictions: Predictions, coding: type, *, objective: str) -> None:
    """Check that a head codes boxes as its objective reads them.

    Args:
        predictions: of the head.
        coding: the class of the coding that the objective reads.
        objective: its kind, for the message.

    Raises:
        ModelError: it codes them in another way.
    """
    if not isinstance(predictions.coding, coding):
        raise ModelError(
            f"task.objective.kind: {objective} teaches heads that code boxes as {coding.__name__}, but this one codes "
            f"them as {type(predictions.coding).__name__}; choose the objective of its head"
        )
