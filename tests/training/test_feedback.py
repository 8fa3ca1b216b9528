"""The loop and a feedback; what each kind does is tested beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sanderling.structures.batch import Batch
from sanderling.training.loop import LoopConfig, fit
from tests.support.training import ListLoader, cpu_runtime, mean_colour_training, random_batch


class _Noted:
    """A feedback that makes pictures brighter by what it has seen, and notes every call."""

    def __init__(self, name: str = "noted") -> None:
        self.name = name
        self.calls: list[str] = []
        self.seen: list[Batch] = []
        self.losses: list[float] = []

    def before(self, batch: Batch) -> Batch:
        self.calls.append("before")
        added = torch.full_like(batch.images, len(self.seen))
        return dataclasses.replace(batch, images=batch.images + added)

    def after(self, batch: Batch, losses: Mapping[str, Tensor]) -> None:
        self.calls.append("after")
        self.seen.append(batch)
        assert all(loss.grad_fn is not None for loss in losses.values())
        # May go through the graph, as the step does afterwards.
        torch.autograd.grad(losses["first"], _last_weights, retain_graph=True)
        self.losses.append(float(losses["first"].detach()))

    def epoch_ended(self) -> None:
        self.calls.append("epoch ended")

    def state(self) -> dict[str, Any]:
        return {"seen": len(self.seen)}

    def restore(self, state: Mapping[str, Any]) -> None:
        raise NotImplementedError


_last_weights: list[Tensor] = []


@pytest.mark.parametrize("accumulate", [1, 2])
def test_every_batch_goes_through_it(accumulate: int) -> None:
    task, training = mean_colour_training(epochs=2)
    _last_weights[:] = [task.linear.weight]
    noted, second = _Noted(), _Noted("second")
    training.feedback = (noted, second)
    batches = [random_batch(2, seed=seed) for seed in range(2)]

    def validate(_: nn.Module) -> dict[str, float | None]:
        noted.calls.append("validated")
        return {"AP": 0.1}

    fit(
        training,
        ListLoader(batches),
        config=LoopConfig(epochs=2, accumulate=accumulate),
        runtime=cpu_runtime(),
        seed=0,
        validate=validate,
        keep=lambda state, _: noted.calls.append(f"kept {state.progress.epoch}"),
    )
    steps = ["before", "after"] * 2
    assert noted.calls == [
        *(*steps, "epoch ended", "validated", "kept 1"),
        *(*steps, "epoch ended", "validated", "kept 2"),
    ]
    # One after the other, and what the second gave is what was learnt.
    assert [int((batch.images - batches[step % 2].images).unique()) for step, batch in enumerate(noted.seen)] == [
        2 * step for step in range(4)
    ]
    assert noted.losses == second.losses
    found = [record["losses"]["first"] for record in training.progress.history]
    assert found == pytest.approx([sum(noted.losses[:2]) / 2, sum(noted.losses[2:]) / 2])
