from __future__ import annotations

import itertools

import pytest

from sanderling.errors import UsageError
from sanderling.studies.ladders import LADDERS, PPYOLO, ladder, ladder_of
from sanderling.studies.switches import SWITCHES, parts


def test_the_published_differences() -> None:
    # Sheet on PP-YOLO, section 4.
    aps = [row.ap for row in PPYOLO.rows]
    steps = [round(1000 * (after - before)) for before, after in itertools.pairwise(aps)]
    assert steps == [2, 23, 5, 6, 3, 7, 5, 3, 5, 5]
    assert "".join(row.letter for row in PPYOLO.rows) == "ABCDEFGHIJK"


def test_every_switch_of_a_ladder_exists() -> None:
    for found in LADDERS.values():
        names = {name for row in found.rows[1:] for name in parts(row.switches)}
        assert names - {"weights"} <= set(SWITCHES)


def test_rows_are_found_by_all_that_is_on() -> None:
    on: list[str] = []
    for row in PPYOLO.rows:
        on += parts(row.switches) if row.switches else []
        found = PPYOLO.row(reversed(["weights=a.safetensors" if name == "weights" else name for name in on]))
        assert found is row
    assert PPYOLO.row(["spp"]) is None
    assert PPYOLO.row([*on, "mosaic"]) is None


def test_steps_that_need_a_file_are_left_to_the_user() -> None:
    assert len(PPYOLO.steps) == 8
    assert (PPYOLO.steps[0], PPYOLO.steps[-1]) == ("resnet-dcn", "spp")


def test_some_rows_have_all_that_lies_between() -> None:
    steps = [*PPYOLO.steps, "weights=a.safetensors", "double-schedule"]
    assert PPYOLO.joined(steps, [row.letter for row in PPYOLO.rows]) == steps
    first, last = PPYOLO.joined(steps, ["K", "I", "A"])
    assert parts(first) == [name for step in PPYOLO.steps for name in parts(step)]
    assert last == "weights=a.safetensors,double-schedule"
    assert PPYOLO.joined(steps, ["B"]) == ["resnet-dcn"]
    # Also where several rows come as one step, and with one that is in no table.
    assert PPYOLO.joined(["resnet-dcn", "iou-loss,large-batch,ema,drop-block", "spp"], ["D"]) == [
        "resnet-dcn,iou-loss,large-batch,ema,drop-block"
    ]
    for letter in ("J", "X"):
        with pytest.raises(UsageError, match=rf"rows: '{letter}' is not among the steps; the ladder 'ppyolo' has A, B"):
            PPYOLO.joined(PPYOLO.steps, ["A", letter])
    with pytest.raises(
        UsageError, match="rows: the switch 'mixup' is of no row of 'ppyolo'; leave it out, or the rows"
    ):
        PPYOLO.joined([*PPYOLO.steps, "mixup"], ["A", "I"])


def test_ladders_by_name_and_by_what_they_begin_with() -> None:
    assert ladder("ppyolo") is PPYOLO
    assert ladder_of("ppyolo-small") is PPYOLO
    assert ladder_of("nanodet-m") is None
    with pytest.raises(UsageError, match="ladder = 'ppyolov' is not known; did you mean 'ppyolo'"):
        ladder("ppyolov")
