from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest

from sanderling.analysis.cost import Cost
from sanderling.errors import MissingDependencyError
from sanderling.recipes.named import named
from sanderling.reporting.tables import Column, Table
from sanderling.studies import ablation_report
from sanderling.studies.ablation import Ablation, Step
from sanderling.studies.ablation_report import ablation_plain, markdown, write_report, write_tables
from sanderling.studies.results import Result
from sanderling.studies.series import Place
from sanderling.studies.summary import Latency, summarise

RUN = named("nanodet-debug")
STEPS = (
    Step(name="baseline", run=RUN, before=None),
    Step(name="batch=4", run=dataclasses.replace(RUN, batch=4), before=0),
)
ABLATION = Ablation(mode="single", steps=STEPS, seeds=(0, 1), minutes=2.0)
RESULTS = {
    Place(0, 0): Result(run={}, metrics={"AP": 0.2, "AP50": 0.4}, seconds=60, epoch_s=(1.0, 2.0)),
    Place(0, 1): Result(run={}, metrics={"AP": 0.3, "AP50": None}, seconds=60, epoch_s=(1.0, 2.0)),
    Place(1, 0): Result(run={}, error="the run <diverged> | badly"),
}
COSTS = [Cost(size_hw=(64, 96), parameters=1000, macs=2_000_000, stages=())] * 2
ROWS = summarise(ABLATION, RESULTS, COSTS, {0: Latency(network_ms=2.5, end_to_end_ms=4.0)})


def test_everything_is_in_the_json(tmp_path: Path) -> None:
    write_tables(tmp_path, ABLATION, ROWS, RESULTS)
    plain = json.loads((tmp_path / "ablation.json").read_text())
    assert plain == json.loads(json.dumps(ablation_plain(ABLATION, ROWS, RESULTS)))
    assert (plain["mode"], plain["seeds"], plain["published_source"]) == ("single", [0, 1], None)
    assert (plain["minutes"], plain["baseline_changes"], plain["rows"][0]["epochs"]) == (2.0, [], 2)
    assert [row["ap"]["mean"] for row in plain["rows"]] == [0.25, None]
    assert plain["rows"][0]["latency"] == {"network_ms": 2.5, "end_to_end_ms": 4.0}
    assert plain["rows"][0]["weights_of"] == "baseline"
    assert [run["metrics"]["AP50"] for run in plain["rows"][0]["seeds"]] == [0.4, None]
    assert plain["rows"][1]["errors"] == ["the run <diverged> | badly"]
    assert plain["baseline"]["model"]["name"] == "nanodet-debug"


def test_tables_for_people_and_for_programs(tmp_path: Path) -> None:
    write_tables(tmp_path, ABLATION, ROWS, RESULTS)
    lines = (tmp_path / "ablation.md").read_text().splitlines()
    assert lines[0].startswith("| switches | runs | AP, % | spread |")
    assert lines[2].startswith("| baseline | 2 | 25.0 | 7.1 |")
    assert r"the run <diverged> \| badly" in lines[3]
    assert "standard deviation over 2 seeds" in lines[-1]
    assert "fit into 2 minutes" in lines[-1]
    rows = list(csv.DictReader((tmp_path / "ablation.csv").read_text().splitlines()))
    assert [float(row["AP"]) if row["AP"] else None for row in rows] == [0.25, None]
    assert rows[1]["failed"] == "the run <diverged> | badly"


def test_the_page_holds_table_plot_and_facts(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = write_report(tmp_path, ABLATION, ROWS, RESULTS, {"data": "birds/"}).read_text()
    assert (tmp_path / "ablation.png").read_bytes().startswith(b"\x89PNG")
    for text in ("Ablation of nanodet-debug", "batch=4", "birds/", "&lt;diverged&gt;", "data:image/png;base64,"):
        assert text in page


def test_long_lists_of_switches_leave_room_for_the_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[str]] = []

    def chart(path: Path, *, labels: list[str], **_: object) -> None:
        drawn.append(labels)
        path.write_bytes(b"\x89PNG")

    monkeypatch.setattr(ablation_report, "spread_chart", chart)
    long = dataclasses.replace(ROWS[1], letter="I", name=",".join(20 * ["switch"]))
    write_report(tmp_path, ABLATION, [ROWS[0], long], RESULTS, {})
    assert drawn == [["baseline", "I switch,switch,switch,switch,switch,sw…"]]


def test_without_matplotlib_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise MissingDependencyError("drawing plots needs matplotlib")

    monkeypatch.setattr(ablation_report, "spread_chart", missing)
    assert "drawing plots needs matplotlib" in write_report(tmp_path, ABLATION, ROWS, RESULTS, {}).read_text()


def test_an_empty_table_is_a_table() -> None:
    assert markdown(Table(columns=(Column(name="a"),), rows=())) == "| a |\n|---|\n"
