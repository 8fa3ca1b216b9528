"""What losses are divided by where a batch is spread over processes, or over batches that make a step together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from torch import Tensor

from sanderling.ops.tensor.distributed import processes, sum_over_processes


def shared_divisor(share: Tensor, *, least: float = 1.0) -> Tensor:
    """What a sum of losses is divided by, so that the mean over all parts is the loss of the joined batch.

    Parts are the processes of a run and, inside `JoinedBatches`, the batches of a step.

    Args:
        share: this part's share of the divisor, such as its number of positives: a scalar, or a vector of several.
        least: the divisor of the joined batch is at least this.

    Returns:
        The joined divisor over the number of parts, detached; in a run of one part its share, raised to `least`.
    """
    share = share.detach()
    joined = _JOINED.get()
    if joined is not None:
        return joined.divisor(share, least=least)
    return sum_over_processes(share).clamp(min=least) / processes()


class JoinedBatches:
    """Batches that make a step together: first each is looked at, then each is taught with what all of them hold.

        joined = JoinedBatches(2)
        for batch in batches:
            with torch.no_grad(), joined.looking():
                objective(network(batch.images), batch.targets)
        with joined.teaching():
            losses = objective(network(batches[0].images), batches[0].targets)

    Args:
        batches: how many they are.
    """

    def __init__(self, batches: int) -> None:
        self._batches = batches
        self._sums: list[Tensor] = []
        self._call = 0
        self._looks = False

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Losses that are computed in here tell their shares; they are of no other use."""
        with self._active(looks=True):
            yield

    @contextlib.contextmanager
    def teaching(self) -> Iterator[None]:
        """Losses that are computed in here, of one batch, are divided by what the joined batch holds."""
        with self._active(looks=False):
            yield

    def divisor(self, share: Tensor, *, least: float) -> Tensor:
        """For `shared_divisor`: the losses of every batch ask for their divisors in the same order."""
        call, self._call = self._call, self._call + 1
        if not self._looks:
            if call >= len(self._sums):
                raise self._disagreement()
            return self._sums[call].clamp(min=least) / (self._batches * processes())
        total = sum_over_processes(share)
        if call < len(self._sums):
            self._sums[call] = self._sums[call] + total
        else:
            self._sums.append(total)
        return share.clamp(min=least)

    @contextlib.contextmanager
    def _active(self, *, looks: bool) -> Iterator[None]:
        self._looks, self._call = looks, 0
        before = _JOINED.set(self)
        try:
            yield
            if self._call != len(self._sums):
                raise self._disagreement()
        finally:
            _JOINED.reset(before)

    def _disagreement(self) -> RuntimeError:
        return RuntimeError(f"{self._call} divisors were asked for by one batch and {len(self._sums)} by another")


_JOINED: ContextVar[JoinedBatches | None] = ContextVar("joined", default=None)
