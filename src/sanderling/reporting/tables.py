"""Tables of plain values: what stands in them, and how they look on a terminal. `page` shows the same ones as HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sanderling.structures.report import Report

if TYPE_CHECKING:
    import rich.table

Cell = str | int | float | None

NOT_MEASURED = "–"

METRIC_MEANINGS = {
    "AP": "mean over IoU 0.50 to 0.95",
    "AP50": "at IoU 0.50",
    "AP75": "at IoU 0.75",
    "AP_small": "objects below 32 x 32 px",
    "AP_medium": "objects from 32 x 32 to 96 x 96 px",
    "AP_large": "objects above 96 x 96 px",
    "AR_1": "recall with 1 detection a picture",
    "AR_10": "recall with 10 detections a picture",
    "AR_100": "recall with 100 detections a picture",
    "AR_small": "recall, objects below 32 x 32 px",
    "AR_medium": "recall, objects from 32 x 32 to 96 x 96 px",
    "AR_large": "recall, objects above 96 x 96 px",
    "AP50_voc07": "Pascal VOC 2007, eleven points",
    "AP50_voc": "Pascal VOC 2010, all points",
}
"""What each metric of a report means, in a few words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: its heading.
        kind: `text`; `whole` numbers with thousands apart; `number`; `percent` for fractions 0..1.
        digits: behind the point, of numbers and percent.
    """

    name: str
    kind: Literal["text", "whole", "number", "percent"] = "text"
    digits: int = 1

    def text(self, value: Cell) -> str:
        """A value as people read it; a dash where nothing was measured.

        >>> Column(name="AP", kind="percent").text(0.2314)
        '23.1'
        """
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return NOT_MEASURED
        if self.kind == "text" or isinstance(value, str):
            return str(value)
        if self.kind == "whole":
            return f"{value:,.0f}"
        return f"{100 * value if self.kind == 'percent' else value:,.{self.digits}f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows under named columns.

    Attributes:
        title: heading, may be empty.
        columns: from left to right.
        rows: one cell per column each; None where nothing was measured.
        note: a line below the table, may be empty.
    """

    title: str = ""
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        """Check that every row is whole."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"Table {self.title!r}: a row has {len(row)} cells; {len(self.columns)} are expected: {row}"
                )


def rich_table(table: Table) -> rich.table.Table:
    """The table for a terminal: `rich.print` it. Text is shown as it is, brackets included."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(
        # A title may be wider than its table: a path that is broken in two cannot be copied.
        title=Text(table.title, no_wrap=True, overflow="ignore") if table.title else None,
        caption=Text(table.note) if table.note else None,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in table.columns:
        numeric = column.kind != "text"
        shown.add_column(
            Text(column.name), justify="right" if numeric else "left", no_wrap=numeric, overflow="fold", min_width=4
        )
    for row in table.rows:
        shown.add_row(*(Text(column.text(cell)) for column, cell in zip(table.columns, row, strict=True)))
    return shown


def metrics_table(report: Report) -> Table:
    """The metrics of all classes together, in percent."""
    return Table(
        title="Metrics, %",
        columns=(Column(name="metric"), Column(name="value", kind="percent"), Column(name="meaning")),
        rows=tuple((name, value, METRIC_MEANINGS.get(name, "")) for name, value in report.metrics.items()),
        note=report.protocol,
    )


def class_table(report: Report) -> Table:
    """Every class: average precision, and what a field team asks at the threshold."""
    return Table(
        title="Classes",
        columns=(
            Column(name="class"),
            Column(name="objects", kind="whole"),
            Column(name="AP, %", kind="percent"),
            Column(name="AP50, %", kind="percent"),
            Column(name="threshold", kind="number", digits=3),
            Column(name="missed, %", kind="percent"),
            Column(name="precision, %", kind="percent"),
            Column(name="false alarms a picture", kind="number", digits=3),
        ),
        rows=tuple(
            (
                entry.name,
                entry.objects,
                entry.AP,
                entry.AP50,
                entry.threshold,
                entry.miss_rate,
                entry.precision,
                entry.false_alarms_per_picture,
            )
            for entry in report.per_class
        ),
        note="Missed, precision and false alarms count detections that score at least the threshold, at IoU 0.50.",
    )


def counts_table(report: Report) -> Table:
    """Pictures, objects, detections and whatever else was counted, then the seconds."""
    counted: list[tuple[Cell, ...]] = [(_spaced(name), f"{value:,}") for name, value in report.counts.items()]
    timed = [(_spaced(name.removesuffix("_s")), seconds(value)) for name, value in report.timings.items()]
    return Table(
        title="Counts", columns=(Column(name="what"), Column(name="value", kind="number")), rows=(*counted, *timed)
    )


def findings_table(findings: Sequence[Mapping[str, Any]], *, most: int | None = None) -> Table:
    """Findings of a data check (plain values, as in its JSON); the first `most` of them, the gravest first."""
    grave = sorted(findings, key=lambda finding: _GRAVITY.get(finding["severity"], len(_GRAVITY)))
    shown = grave if most is None else grave[:most]
    rest = len(findings) - len(shown)
    return Table(
        title="Findings",
        columns=tuple(Column(name=name) for name in ("severity", "file", "item", "field", "value", "rule", "remedy")),
        rows=tuple(
            tuple(None if finding[name] is None else str(finding[name]) for name in _FINDING_COLUMNS)
            for finding in shown
        ),
        note=f"and {rest:,} more; --json FILE lists them all" if rest else "",
    )


_GRAVITY = {"error": 0, "warning": 1, "info": 2}
_FINDING_COLUMNS = ("severity", "file", "item", "field", "value", "rule", "remedy")


def counted_table(title: str, counts: Mapping[str, int]) -> Table:
    """Names with how often each was met."""
    return Table(
        title=title,
        columns=(Column(name="what"), Column(name="count", kind="whole")),
        rows=tuple((name, count) for name, count in counts.items()),
    )


def split_table(split: Mapping[str, Any]) -> Table:
    """One split of `data stats` (plain values, as in its JSON): sums, then smallest to largest of what varies."""
    sums = [(_spaced(name), split[name]) for name in _SPLIT_SUMS]
    spreads = [(_spaced(name), split[name]) for name in _SPLIT_SPREADS]
    return Table(
        title=f"Split {split['split']}",
        columns=(
            Column(name="what"),
            Column(name="sum", kind="whole"),
            *(Column(name=name, kind="number", digits=2) for name in _SPREAD_NAMES),
        ),
        rows=(
            *((name, count, *(None,) * len(_SPREAD_NAMES)) for name, count in sums),
            *((name, None, *spread.values()) for name, spread in spreads),
        ),
        note="small, medium, large: objects below 32 x 32 px, below 96 x 96 px, and the rest",
    )


_SPLIT_SUMS = ("pictures", "objects", "crowds", "difficult", "skipped", "backgrounds", "small", "medium", "large")
_SPLIT_SPREADS = ("widths", "heights", "picture_aspects", "box_aspects", "box_shares", "objects_per_picture")
_SPREAD_NAMES = ("smallest", "lower quartile", "median", "upper quartile", "largest")


def split_classes_table(split: Mapping[str, Any]) -> Table:
    """The classes of one split of `data stats` (plain values, as in its JSON)."""
    numbers = ("objects", "pictures", "small", "medium", "large")
    return Table(
        title=f"Classes of {split['split']}",
        columns=(Column(name="class"), *(Column(name=name, kind="whole") for name in numbers)),
        rows=tuple((entry["name"], *(entry[name] for name in numbers)) for entry in split["classes"]),
    )


def anchors_table(fitted: Mapping[str, Any]) -> Table:
    """The anchors of `data anchors` (plain values, as in its JSON), with their levels where a model has some."""
    sizes = [(anchor["width"], anchor["height"], anchor["share"]) for anchor in fitted["anchors"]]
    columns: tuple[Column, ...] = (
        Column(name="width, px", kind="number", digits=2),
        Column(name="height, px", kind="number", digits=2),
        Column(name="boxes, %", kind="percent"),
    )
    note = "boxes: those whose best anchor it is"
    rows: list[tuple[Cell, ...]] = list(sizes)
    if fitted["levels"] is not None:
        levels = [number for number, level in enumerate(fitted["levels"]) for _ in level]
        rows = [(level, *size) for level, size in zip(levels, sizes, strict=True)]
        columns, note = (Column(name="level", kind="whole"), *columns), f"{note}; level 0 is the finest"
    return Table(
        title=f"Anchors for {fitted['data']}, {fitted['split']}, at {size_text(fitted['input'])} ({fitted['resize']})",
        columns=columns,
        rows=tuple(rows),
        note=note,
    )


def anchors_fit_table(fitted: Mapping[str, Any]) -> Table:
    """How well boxes overlap the anchors of `data anchors` (plain values, as in its JSON), and a model's own."""
    model = fitted["model"]
    own = () if model is None else ((model["name"], sum(map(len, model["levels"])), model["mean_best_iou"]),)
    return Table(
        title="Mean best IoU",
        columns=(
            Column(name="anchors"),
            Column(name="count", kind="whole"),
            Column(name="IoU, %", kind="percent", digits=2),
        ),
        rows=(("fitted", len(fitted["anchors"]), fitted["mean_best_iou"]), *own),
        note=f"of {fitted['boxes']:,} boxes ({fitted['left_out']:,} left out), shapes laid over one another",
    )


def models_table(models: Iterable[Mapping[str, Any]]) -> Table:
    """The zoo (plain values, as in the JSON of `models`): input, parameters, multiply-adds, published AP, weights."""
    return Table(
        title="Models",
        columns=(
            Column(name="name"),
            Column(name="family"),
            Column(name="input"),
            Column(name="parameters, M", kind="number", digits=3),
            Column(name="multiply-adds, M", kind="number", digits=1),
            Column(name="AP, %", kind="percent"),
            Column(name="weights"),
        ),
        rows=tuple(
            (
                model["name"],
                model["family"],
                size_text(model["input"]),
                None if model["parameters"] is None else model["parameters"] / 1e6,
                None if model["macs"] is None else model["macs"] / 1e6,
                model["published"] and model["published"]["ap"],
                ", ".join(model["pretrained"]),
            )
            for model in models
        ),
        note="AP on COCO, as its authors published it (where: models show NAME); weights that `weights import` or "
        "`train --pretrained` can take",
    )


def facts_table(title: str, facts: Mapping[str, Cell]) -> Table:
    """Names with one value each."""
    return Table(title=title, columns=(Column(name="what"), Column(name="value")), rows=tuple(facts.items()))


def size_text(size: object) -> str:
    """An input size, one side or height and width.

    >>> size_text([320, 416])
    '320 x 416'
    """
    if isinstance(size, list | tuple):
        return " x ".join(str(side) for side in size)
    return str(size)


def seconds(value: float | None) -> str:
    """A duration as people say it.

    >>> seconds(4512.3)
    '1 h 15 min'
    """
    if value is None or not math.isfinite(value):
        return NOT_MEASURED
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 100:
        return f"{value:.1f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _spaced(name: str) -> str:
    return name.replace("_", " ")
