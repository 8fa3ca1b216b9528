from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from sanderling.reporting import tables
from sanderling.reporting.tables import NOT_MEASURED, Column, Table
from sanderling.structures.report import ClassReport, Report

REPORT = Report(
    metrics={"AP": 0.2314, "AP50": 0.5, "AP_small": None, "own": 0.1},
    per_class=(
        ClassReport(name="fire", objects=1200, detections=9, AP=0.25, AP50=0.5, threshold=0.4567, miss_rate=0.125),
        ClassReport(name="smoke [red]", objects=0, detections=0),
    ),
    protocol="COCO by hand",
    counts={"pictures": 1234, "crowd_regions": 2},
    timings={"predict_s": 12.34},
)


def shown(table: Table, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(tables.rich_table(table))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        (Column(name="x"), "fire", "fire"),
        (Column(name="x"), 3, "3"),
        (Column(name="x"), None, NOT_MEASURED),
        (Column(name="x", kind="percent"), 0.23145, "23.1"),
        (Column(name="x", kind="percent", digits=2), 0.23146, "23.15"),
        (Column(name="x", kind="percent"), 1.0, "100.0"),
        (Column(name="x", kind="percent"), float("nan"), NOT_MEASURED),
        (Column(name="x", kind="whole"), 1234567, "1,234,567"),
        (Column(name="x", kind="number", digits=3), 0.0955, "0.096"),
        (Column(name="x", kind="number"), "31 ms", "31 ms"),
    ],
)
def test_cells(column: Column, value: Any, text: str) -> None:
    assert column.text(value) == text


def test_a_row_has_a_cell_for_every_column() -> None:
    with pytest.raises(ValueError, match="Table 'T': a row has 2 cells; 1 are expected"):
        Table(title="T", columns=(Column(name="a"),), rows=((1, 2),))


def test_on_a_terminal_text_stands_as_it_is_and_nothing_is_lost() -> None:
    table = Table(
        title="[bold]title",
        columns=(Column(name="[red]name"), Column(name="number", kind="whole")),
        rows=(("[/] a long name " * 6, 12345),),
        note="[link]",
    )
    text = shown(table, width=40)
    for part in ("[bold]title", "[red]name", "12,345", "[link]"):
        assert part in text
    assert text.count("long") == 6


def test_a_title_that_is_wider_than_its_table_stays_one_line() -> None:
    title = "/home/birds/a long path to the data set (coco)"
    table = Table(title=title, columns=(Column(name="what"),), rows=(("x",),))
    assert shown(table).splitlines()[0].rstrip() == title


def test_metrics_are_percent_with_their_meaning() -> None:
    text = shown(tables.metrics_table(REPORT))
    assert "23.1" in text
    assert "at IoU 0.50" in text
    assert "COCO by hand" in text
    assert NOT_MEASURED in text
    assert tables.metrics_table(REPORT).rows[3] == ("own", 0.1, "")


def test_classes_in_their_order_with_their_threshold() -> None:
    table = tables.class_table(REPORT)
    assert [row[0] for row in table.rows] == ["fire", "smoke [red]"]
    text = shown(table)
    for part in ("1,200", "25.0", "50.0", "0.457", "12.5", "smoke [red]"):
        assert part in text


def test_counts_and_seconds() -> None:
    assert tables.counts_table(REPORT).rows == (("pictures", "1,234"), ("crowd regions", "2"), ("predict", "12.3 s"))


def finding(severity: str, value: object = "nan") -> dict[str, object]:
    return {
        "file": f"{severity}.jpg",
        "item": "a.txt: line 1",
        "field": "box",
        "value": value,
        "rule": "box-not-finite",
        "severity": severity,
        "remedy": "draw it again",
    }


def test_the_gravest_findings_first_and_how_many_more() -> None:
    findings = [finding("info", None), finding("warning", 3), finding("error"), finding("error", 2.5)]
    table = tables.findings_table(findings, most=3)
    assert [row[0] for row in table.rows] == ["error", "error", "warning"]
    assert [row[4] for row in table.rows] == ["nan", "2.5", "3"]
    assert table.note == "and 1 more; --json FILE lists them all"
    assert tables.findings_table(findings).note == ""
    assert tables.findings_table([]).rows == ()


def test_a_split_with_and_without_objects() -> None:
    spread = {"smallest": 1, "lower_quartile": 2.0, "median": 3, "upper_quartile": 4, "largest": 5}
    nothing = dict.fromkeys(spread)
    sums = ("pictures", "objects", "crowds", "difficult", "skipped", "backgrounds", "small", "medium", "large")
    spreads = ("widths", "heights", "picture_aspects", "box_aspects", "box_shares", "objects_per_picture")
    split: dict[str, Any] = {"split": "val", **dict.fromkeys(sums, 1000), **dict.fromkeys(spreads, spread)}
    split["box_shares"] = nothing
    split["classes"] = [{"name": "fire", "objects": 5, "pictures": 4, "small": 3, "medium": 2, "large": 0}]
    table = tables.split_table(split)
    assert table.rows[0] == ("pictures", 1000, None, None, None, None, None)
    assert table.rows[len(sums)] == ("widths", None, 1, 2.0, 3, 4, 5)
    assert "box shares" in shown(table)
    assert tables.split_classes_table(split).rows == (("fire", 5, 4, 3, 2, 0),)


def test_models_in_millions() -> None:
    models: list[dict[str, Any]] = [
        {
            "name": "nanodet-m",
            "family": "nanodet",
            "input": [320, 416],
            "parameters": 950036,
            "macs": 342_200_000,
            "published": {"ap": 0.206},
            "pretrained": ["imagenet", "coco"],
        },
        {
            "name": "mine",
            "family": None,
            "input": 320,
            "parameters": None,
            "macs": None,
            "published": None,
            "pretrained": [],
        },
    ]
    text = shown(tables.models_table(models))
    for part in ("320 x 416", "0.950", "342.2", "20.6", "imagenet, coco", NOT_MEASURED):
        assert part in text


def test_facts_and_counts_are_two_columns() -> None:
    assert tables.facts_table("T", {"a": 1, "b": "c"}).rows == (("a", 1), ("b", "c"))
    assert tables.counted_table("T", {"a": 1}).rows == (("a", 1),)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, NOT_MEASURED),
        (float("nan"), NOT_MEASURED),
        (0.0, "0 ms"),
        (0.0314, "31 ms"),
        (12.34, "12.3 s"),
        (99.99, "100.0 s"),
        (150, "2 min"),
        (3599, "1 h 0 min"),
        (4512.3, "1 h 15 min"),
    ],
)
def test_seconds(value: float | None, text: str) -> None:
    assert tables.seconds(value) == text


def _fitted(levels: list[list[list[float]]] | None, model: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "data": "birds",
        "split": "train",
        "input": [320, 416],
        "resize": "stretch",
        "boxes": 1234,
        "left_out": 5,
        "mean_best_iou": 0.7125,
        "anchors": [
            {"width": 10.25, "height": 13.0, "share": 0.25},
            {"width": 16.0, "height": 30.5, "share": 0.25},
            {"width": 90.0, "height": 78.0, "share": 0.5},
        ],
        "levels": levels,
        "model": model,
    }


def test_anchors_with_and_without_levels() -> None:
    model = {"name": "yolov3-tiny", "levels": [[[1, 2]], [[3, 4], [5, 6]]], "mean_best_iou": 0.61}
    plain = _fitted(None, None)
    assert tables.anchors_table(plain).rows[0] == (10.25, 13.0, 0.25)
    assert tables.anchors_fit_table(plain).rows == (("fitted", 3, 0.7125),)
    dealt = _fitted([[[10.25, 13.0]], [[16.0, 30.5], [90.0, 78.0]]], model)
    assert [row[0] for row in tables.anchors_table(dealt).rows] == [0, 1, 1]
    assert tables.anchors_fit_table(dealt).rows[1] == ("yolov3-tiny", 3, 0.61)
    text = shown(tables.anchors_table(dealt)) + shown(tables.anchors_fit_table(dealt))
    for part in ("birds, train, at 320 x 416 (stretch)", "16.00", "50.0", "71.25", "1,234 boxes (5 left out)"):
        assert part in text
