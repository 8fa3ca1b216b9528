from __future__ import annotations

import io
import time
from typing import Any

import pytest
import torch
from rich.console import Console

from sanderling.commands.train_display import TrainDisplay, TrainLines, epoch_line, train_display

_RECORD: dict[str, Any] = {
    "epoch": 2,
    "time_s": 1.0,
    "lr": 0.0123,
    "losses": {"box": 0.25, "total": 0.75},
    "pictures_per_s": 8.04,
    "skipped_steps": 0,
    "metrics": {"AP": 0.123, "AP50": 0.456, "AP75": 0.1},
}


def test_an_epoch_in_one_line() -> None:
    assert epoch_line(_RECORD, 10, eta_s=3723.4) == (
        "epoch 2/10  loss: box 0.250 total 0.750  lr 1.23e-02  8.0 pictures/s  AP 12.3 AP50 45.6  1:02:03 left"
    )


def test_what_was_not_measured_is_left_out_and_skipped_steps_are_told() -> None:
    line = epoch_line({**_RECORD, "metrics": None, "skipped_steps": 3}, 10, eta_s=0)
    assert "AP" not in line
    assert "3 steps skipped: gradient not finite" in line
    assert "AP" not in epoch_line({**_RECORD, "metrics": {"AP": None, "AP50": None}}, 10, eta_s=0)


def test_plain_lines_where_it_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    lines = TrainLines(Console(file=stream, width=40))
    clock = iter([100.0, 110.0, 130.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    lines.epoch_started(3, epochs=6, batches=2)
    lines.stepped({"box": torch.tensor(1.0)}, pictures=4)
    lines.epoch_ended({**_RECORD, "epoch": 3})
    lines.epoch_started(4, epochs=6, batches=2)
    lines.epoch_ended({**_RECORD, "epoch": 4})
    lines.closed()
    first, second = stream.getvalue().splitlines()
    # Two of four epochs took 30 s; a resumed run counts its own epochs only.
    assert first.startswith("epoch 3/6")
    assert first.endswith("0:00:30 left")
    assert second.endswith("0:00:30 left")


def test_a_bar_on_a_terminal_with_losses_and_throughput() -> None:
    stream = io.StringIO()
    display = TrainDisplay(Console(file=stream, width=200, force_terminal=True))
    for epoch in (1, 2):
        display.epoch_started(epoch, epochs=2, batches=2)
        for _ in range(2):
            display.stepped({"box": torch.tensor(1.25), "total": torch.tensor(2.5)}, pictures=4)
        display._bar.refresh()
        display.epoch_ended({**_RECORD, "epoch": epoch})
    display.closed()
    text = stream.getvalue()
    assert "box 1.250  total 2.500" in text
    assert "pictures/s" in text
    assert "epoch 2/2" in text


def test_the_bar_tells_the_time_that_is_left_within_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    display = TrainDisplay(Console(file=io.StringIO(), width=200, force_terminal=True))
    clock = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    # A resumed run: what counts is the pace since epoch 3.
    display.epoch_started(3, epochs=5, batches=4)
    clock[0] = 110.0
    display.stepped({"box": torch.tensor(1.0)}, pictures=4)
    display.closed()
    # A quarter of an epoch took 10 s; two epochs and three quarters are left.
    assert display._bar.tasks[0].fields["text"].startswith("0:01:50 left")


def test_the_display_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    display = train_display()
    assert type(display) is TrainLines
    display.epoch_started(2, epochs=2, batches=1)
    display.epoch_ended(_RECORD)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("epoch 2/2")
