from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sanderling.ops.tensor.divisors import JoinedBatches, shared_divisor
from tests.support.two_processes import in_two_processes


@pytest.mark.parametrize(("share", "expected"), [(3.0, 3.0), (0.25, 1.0), (0.0, 1.0)])
def test_alone_it_is_the_share_itself_raised_to_the_least(share: float, expected: float) -> None:
    assert shared_divisor(torch.tensor(share)) == expected
    assert shared_divisor(torch.tensor(share), least=1e-6) == max(share, 1e-6)


def test_the_mean_over_joined_batches_is_the_loss_of_all() -> None:
    sums, counts = torch.tensor([6.0, 1.0, 3.0]), torch.tensor([4.0, 0.0, 1.0])
    joined = JoinedBatches(3)
    for count in counts:
        with joined.looking():
            assert shared_divisor(count) == max(1, count)
            shared_divisor(torch.stack((count, count / 100)))
    losses, seconds = [], []
    for total, count in zip(sums, counts, strict=True):
        with joined.teaching():
            losses.append(total / shared_divisor(count))
            seconds.append(shared_divisor(torch.stack((count, count / 100))))
    # Ten over five, whatever batch they were in.
    assert torch.stack(losses).mean() == pytest.approx(10 / 5)
    # The divisor of all of them is at least 1: a third of it for each.
    for second in seconds:
        torch.testing.assert_close(second, torch.tensor([5 / 3, 1 / 3]))
    # Outside, each stands for itself again.
    assert shared_divisor(torch.tensor(7.0)) == 7


@pytest.mark.parametrize("calls", [(2, 1, 2), (1, 1, 2), (1, 2, 1)])
def test_batches_that_ask_for_other_divisors_are_refused(calls: tuple[int, ...]) -> None:
    joined = JoinedBatches(2)
    with pytest.raises(RuntimeError, match=r"divisors were asked for by one batch"):  # noqa: PT012
        for place, count in enumerate(calls):
            with joined.looking() if place < 2 else joined.teaching():
                for _ in range(count):
                    shared_divisor(torch.tensor(2.0))


def _work(rank: int) -> dict[str, Any]:
    share = torch.tensor(3.0 + 4 * rank, requires_grad=True)
    divisor = shared_divisor(share)
    joined = JoinedBatches(2)
    for batch in (1.0, 2.0):
        with joined.looking():
            shared_divisor(torch.tensor(batch + rank))
    with joined.teaching():
        both = shared_divisor(torch.tensor(0.0))
    return {
        "divisor": divisor.item(),
        "little": shared_divisor(torch.tensor(0.25)).item(),
        "both": both.item(),
        "needs_gradient": divisor.requires_grad,
    }


@pytest.mark.slow
def test_two_processes_get_their_share_of_the_joined_divisor(tmp_path: Path) -> None:
    first, second = in_two_processes(_work, tmp_path)
    # (3 + 7) / 2; 0.25 + 0.25 raised to 1, over 2; (1 + 2 + 2 + 3) / 4.
    assert [(found["divisor"], found["little"], found["both"]) for found in (first, second)] == [(5, 0.5, 2)] * 2
    assert not first["needs_gradient"]
