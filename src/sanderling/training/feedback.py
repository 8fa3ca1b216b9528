"""What a training feeds back into its own batches: how the next one is made depends on what this one taught."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from sanderling.structures.batch import Batch


class Feedback(Protocol):
    """Stands at both ends of a step. All processes of a run come to the same conclusions.

    What it has learnt is a state of plain values and tensors: with that of the end of an epoch a resumed run gives the
    same batches as one that went on.

    Attributes:
        name: in the checkpoint.
    """

    name: str

    def before(self, batch: Batch) -> Batch:
        """What the task is to learn from, in place of the batch that the loader gave, which is on the CPU."""
        ...

    def after(self, batch: Batch, losses: Mapping[str, Tensor]) -> None:
        """Told of every batch (as it was learnt, on the device) before its gradients are taken; the graph must stay."""
        ...

    def epoch_ended(self) -> None:
        """Told at the end of every epoch, before the run is kept."""
        ...

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, after `epoch_ended`."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state.

        Raises:
            ValueError: it is of another run.
        """
        ...
