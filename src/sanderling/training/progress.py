"""How far a training is: everything beside weights that a resumed run goes on from, and who may watch it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from torch import Tensor

Record = dict[str, Any]
"""One epoch in plain values: epoch, time_s, lr, losses, pictures_per_s, skipped_steps, metrics (None without)."""


@dataclass(kw_only=True, slots=True)
class Progress:
    """The state of a run between two epochs.

    Attributes:
        epoch: finished epochs.
        step: optimiser steps done.
        best: highest value of the watched metric so far, None before the first validation.
        best_epoch: the epoch (from 1) that reached it.
        skipped_in_a_row: steps up to now that were not taken, since the last that was.
        history: one record per finished epoch.
    """

    epoch: int = 0
    step: int = 0
    best: float | None = None
    best_epoch: int = 0
    skipped_in_a_row: int = 0
    history: list[Record] = field(default_factory=list)

    def to_plain(self) -> dict[str, Any]:
        """Plain values for the checkpoint."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Progress:
        """Read back what `to_plain` wrote."""
        return cls(**plain)

    def finish_epoch(self, record: Record, *, watched: str) -> bool:
        """Take in an epoch's record; True when it is the best so far.

        Equal is not better: the earlier epoch stays. A run that never validates has no best epoch.
        """
        self.epoch += 1
        self.history.append(record)
        value = (record["metrics"] or {}).get(watched)
        if record["metrics"] is None or (self.best is not None and (value or 0.0) <= self.best):
            return False
        self.best, self.best_epoch = value or 0.0, self.epoch
        return True


class Observer(Protocol):
    """Whoever watches a training: a progress display, TensorBoard."""

    def epoch_started(self, epoch: int, *, epochs: int, batches: int) -> None:
        """Epoch `epoch` (from 1) of `epochs` begins; it has so many batches."""
        ...

    def stepped(self, losses: Mapping[str, Tensor], *, pictures: int) -> None:
        """A batch is done; the losses are detached and may still be on the device."""
        ...

    def epoch_ended(self, record: Record) -> None:
        """An epoch is done and kept."""
        ...

    def closed(self) -> None:
        """The training is over, well or not."""
        ...
