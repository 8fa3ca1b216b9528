from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from sanderling.analysis.cost import Cost
from sanderling.recipes.named import named
from sanderling.studies.ablation import Ablation, Step
from sanderling.studies.results import Result
from sanderling.studies.series import Place
from sanderling.studies.summary import Figure, Latency, ablation_table, costs_of, summarise

RUN = named("nanodet-debug")
LONGER = dataclasses.replace(RUN, batch=4)
COSTS = [Cost(size_hw=(64, 96), parameters=1000 * n, macs=2_000_000 * n, stages=()) for n in (1, 2, 3)]
APS = {Place(0, 0): 0.20, Place(0, 1): 0.26, Place(0, 2): 0.23, Place(1, 0): 0.25, Place(1, 2): 0.29}


def _ablation(mode: str = "ladder", letters: str = "   ") -> Ablation:
    published = {"A": 0.389, "B": 0.391}
    below = (None, 0, 1 if mode == "ladder" else 0)
    steps = tuple(
        Step(name=name, run=LONGER, before=before, letter=letter.strip(), published_ap=published.get(letter))
        for name, before, letter in zip(("baseline", "first", "second"), below, letters, strict=True)
    )
    return Ablation(mode="ladder" if mode == "ladder" else "single", steps=steps, seeds=(0, 1, 2), source="the paper")


def _results() -> dict[Place, Result]:
    done = {
        place: Result(run={}, metrics={"AP": ap, "AP50": 2 * ap}, seconds=120, epoch_s=(1.0,) * 30)
        for place, ap in APS.items()
    }
    return {
        **done,
        Place(1, 1): Result(run={}, error="the run diverged"),
        Place(2, 0): Result(run={}, metrics={"AP": None, "AP50": None}),
    }


def test_means_spreads_and_differences_seed_by_seed() -> None:
    baseline, first, second = summarise(_ablation(), _results(), COSTS)
    assert baseline.ap.mean == pytest.approx(np.mean([0.20, 0.26, 0.23]))
    assert baseline.ap.spread == pytest.approx(np.std([0.20, 0.26, 0.23], ddof=1))
    assert baseline.delta == Figure(mean=None, spread=None)
    assert (first.runs, first.errors, first.epochs, first.minutes) == (2, ("the run diverged",), 30, 2.0)
    # The baseline's second seed has no partner.
    assert first.delta.mean == pytest.approx(np.mean([0.05, 0.06]))
    assert first.delta.spread == pytest.approx(np.std([0.05, 0.06], ddof=1))
    assert first.ap50.mean == pytest.approx(0.54)
    assert (second.ap, second.delta) == (Figure(mean=None, spread=None),) * 2
    assert (second.runs, second.epochs, second.minutes) == (1, 30, None), "its weights are those of the step below"
    assert [row.parameters for row in (baseline, first, second)] == [1000, 2000, 3000]


def test_nothing_is_finished_yet() -> None:
    rows = summarise(_ablation(), {}, COSTS)
    assert [row.runs for row in rows] == [0, 0, 0]
    assert len(ablation_table(_ablation(), rows).rows) == 3


def test_one_seed_has_no_spread() -> None:
    assert Figure.of([0.5]) == Figure(mean=0.5, spread=None)
    assert Figure.of([]) == Figure(mean=None, spread=None)


def test_published_differences_are_to_the_row_that_ours_is_compared_with() -> None:
    rows = summarise(_ablation(letters="AB "), _results(), COSTS)
    assert rows[1].published_delta == pytest.approx(0.002)
    assert (rows[0].published_delta, rows[2].published_delta) == (None, None)


def test_the_table_shows_what_there_is() -> None:
    bare = ablation_table(_ablation("single"), summarise(_ablation("single"), _results(), COSTS))
    names = [column.name for column in bare.columns]
    assert names[0] == "switches"
    assert not {"published", "its delta", "network, ms", "row"} & set(names)
    assert "to the baseline" in bare.note
    latencies = {1: Latency(network_ms=2.5, end_to_end_ms=4.0)}
    full = ablation_table(_ablation(letters="AB "), summarise(_ablation(letters="AB "), _results(), COSTS, latencies))
    rows = [dict(zip([column.name for column in full.columns], row, strict=True)) for row in full.rows]
    assert [row["row"] for row in rows] == ["A", "B", ""]
    assert [row["network, ms"] for row in rows] == [None, 2.5, None]
    assert rows[1]["failed"] == "the run diverged"
    assert rows[1]["MACs, M"] == 4
    assert "to the row above" in full.note
    assert "published: the paper" in full.note


def test_the_note_tells_how_epochs_were_chosen_and_whose_the_baseline_is() -> None:
    def note(letters: str, **changes: Any) -> str:
        ablation = dataclasses.replace(_ablation(letters=letters), **changes)
        return ablation_table(ablation, summarise(ablation, _results(), COSTS)).note

    assert "epochs" not in note("AB ")
    assert "another one" not in note("AB ")
    told = note("   ", minutes=2.5)
    assert "into 2.5 minutes (a longer schedule in proportion), told by timing 5; where that is within 20% of" in told
    changed = note("AB ", baseline_changes=tuple(f"augment.{name}=1" for name in "abcdefgh"))
    assert "published: the paper; and not for our baseline, which is another one: augment.a=1, " in changed
    assert changed.endswith("augment.f=1 and 2 more")
    assert "another one" not in note("   ", baseline_changes=("batch=4",))


def test_costs_are_of_each_steps_network() -> None:
    config = RUN.model.with_picture(size_hw=(64, 96))
    wider = dataclasses.replace(RUN, model=config.with_picture(size_hw=(64, 192)))
    steps = (
        Step(name="baseline", run=dataclasses.replace(RUN, model=config), before=None),
        Step(name="wide", run=wider, before=0),
    )
    narrow, wide = costs_of(Ablation(mode="ladder", steps=steps, seeds=(0,)))
    assert wide.parameters == narrow.parameters
    assert wide.macs == 2 * narrow.macs
