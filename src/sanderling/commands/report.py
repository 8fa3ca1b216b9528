"""The report of a run or of a measurement: plots as files, and one page to send to a colleague."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sanderling.errors import MissingDependencyError

if TYPE_CHECKING:
    from sanderling.datasets.dataset import Dataset
    from sanderling.evaluation.curves import ClassCurve
    from sanderling.evaluation.flat import FlatDetections
    from sanderling.reporting.page import Block, Picture, Section, Tile
    from sanderling.structures.detections import Detections
    from sanderling.structures.report import Report

logger = logging.getLogger(__name__)

_Values = NDArray[np.float64]

_MEAN = "mean of classes"
_GRID = np.linspace(0, 1, 101)
_CONFUSIONS = 12
_NAMED = 12


def write_run_report(
    folder: Path,
    *,
    title: str,
    history: Sequence[Mapping[str, Any]],
    dataset: Dataset,
    detections: Sequence[Detections],
    report: Report,
    facts: Mapping[str, str],
    unreadable: Mapping[str, str] | None = None,
) -> Path:
    """Write `plots/*.png` and the self-contained `report.html` into a folder.

    Without matplotlib the plots are left out, and the page says so.

    Args:
        folder: exists.
        title: heading of the page.
        history: epochs as in `metrics.jsonl`; none for a measurement without training.
        dataset: the split that was measured.
        detections: one entry per picture of it.
        report: its metrics.
        facts: what else a reader should know: name to value.
        unreadable: pictures that could not be decoded, path to reason.

    Returns:
        The page.

    Raises:
        UsageError: not one entry per picture.
        DataError: the detector does not know a class of the data set.
    """
    from sanderling.commands.report_pictures import Album
    from sanderling.evaluation.curves import score_curves
    from sanderling.evaluation.flat import flatten
    from sanderling.reporting.page import Notice, Section, write_page

    found = flatten(dataset, detections)
    curves = [curve for curve in score_curves(dataset, found) if len(curve.scores)]
    # A class that is never detected has no curve, and counts as 0 in the means.
    classes = sum(entry.objects > 0 for entry in report.per_class)
    mean_f1 = _mean([_at_thresholds(curve.scores, curve.f1, _GRID) for curve in curves], classes)
    threshold = float(_GRID[mean_f1.argmax()]) if curves else 0.25
    plots = _Plots(folder / "plots")
    album = Album(dataset, detections, report)
    sections = [
        *_training(history, plots),
        *_measured(report, plots),
        *_curves(curves, mean_f1, classes, plots),
        *_confusion(dataset, found, threshold, plots),
        *album.sections(found, threshold=threshold),
    ]
    notices = [*_left_out(dataset, report, {**album.unreadable, **(unreadable or {})}), *plots.notices]
    first = Section(blocks=(_tiles(report, facts, history), *(Notice(text=text) for text in notices)))
    return write_page(
        folder / "report.html",
        title=title,
        subtitle=f"{report.data or f'{dataset.name}, {dataset.split}'} · {len(dataset):,} pictures",
        sections=[first, *_facts(facts), *sections],
        footer=_footer(),
    )


def write_history_report(
    folder: Path,
    *,
    title: str,
    history: Sequence[Mapping[str, Any]],
    facts: Mapping[str, str],
    unreadable: Mapping[str, str],
) -> Path:
    """Write `plots/*.png` and `report.html` of a run that was not validated: losses, learning rate and facts only.

    Args:
        folder: exists.
        title: heading of the page.
        history: epochs as in `metrics.jsonl`.
        facts: what else a reader should know: name to value.
        unreadable: pictures that could not be decoded, path to reason.

    Returns:
        The page.
    """
    from sanderling.reporting.page import Notice, Section, write_page

    plots = _Plots(folder / "plots")
    sections = [*_facts(facts), *_training(history, plots)]
    notices = ["This run has no validation split, so nothing is known of how well the detector does."]
    if unreadable:
        notices.append("\n".join([f"{len(unreadable):,} unreadable pictures.", *list(unreadable.values())[:_NAMED]]))
    first = Section(blocks=tuple(Notice(text=text) for text in (*notices, *plots.notices)))
    return write_page(folder / "report.html", title=title, sections=[first, *sections], footer=_footer())


class _Plots:
    """Draws charts into a folder and remembers what could not be drawn."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.notices: list[str] = []

    def draw(self, name: str, chart: Callable[..., None], *, alt: str, caption: str = "", **what: Any) -> list[Picture]:
        """One chart as a picture for the page; none without matplotlib."""
        from sanderling.reporting.page import Picture

        if self.notices:
            return []
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{name}.png"
        try:
            chart(path, **what)
        except MissingDependencyError as error:
            logger.warning("the report has no plots: %s", error)
            self.notices.append(f"The plots are left out: {error}")
            return []
        return [Picture(data=path.read_bytes(), alt=alt, caption=caption)]


def _tiles(report: Report, facts: Mapping[str, str], history: Sequence[Mapping[str, Any]]) -> Block:
    from sanderling.reporting.page import Tile, Tiles
    from sanderling.reporting.tables import NOT_MEASURED, seconds

    def percent(name: str) -> str:
        value = report.metrics.get(name)
        return NOT_MEASURED if value is None else f"{100 * value:.1f} %"

    tiles: list[Tile] = [
        Tile(label="AP50", value=percent("AP50"), note="at IoU 0.50"),
        Tile(label="AP", value=percent("AP"), note="mean over IoU 0.50 to 0.95"),
        Tile(label="pictures", value=f"{report.counts.get('pictures', 0):,}", note="measured on"),
        Tile(label="objects", value=f"{report.counts.get('objects', 0):,}", note=f"of {_classes(report)}"),
    ]
    if "parameters" in facts:
        tiles.append(Tile(label="parameters", value=facts["parameters"], note=facts.get("model", "")))
    if history:
        spent = sum(entry.get("time_s") or 0 for entry in history)
        tiles.append(Tile(label="training", value=seconds(spent), note=f"{len(history):,} epochs"))
    return Tiles(tiles=tuple(tiles))


def _classes(report: Report) -> str:
    count = len(report.per_class)
    return "1 class" if count == 1 else f"{count:,} classes"


def _facts(facts: Mapping[str, str]) -> list[Section]:
    from sanderling.reporting.page import Facts, Section

    return [Section(title="Facts", blocks=(Facts(facts=facts),))] if facts else []


def _left_out(dataset: Dataset, report: Report, unreadable: Mapping[str, str]) -> list[str]:
    """What the figures do not cover, and why."""
    from sanderling.datasets.finding import summary

    notices = []
    count = max(len(unreadable), report.counts.get("unreadable", 0))
    if count:
        reasons = list(unreadable.values())
        lines = [f"{count:,} unreadable pictures; those of the measured split count as pictures without detections."]
        notices.append("\n".join([*lines, *reasons[:_NAMED], *(["…"] if len(reasons) > _NAMED else [])]))
    if dataset.skipped:
        notices.append(f"Labels of {dataset.name}, {dataset.split}: {summary(dataset.skipped)}.")
    not_finite = report.counts.get("detections_not_finite", 0)
    if not_finite:
        notices.append(f"{not_finite:,} detections had a box or score that is no number, and were left out.")
    return notices


def _training(history: Sequence[Mapping[str, Any]], plots: _Plots) -> list[Section]:
    from sanderling.reporting.page import Charts, Section, Text
    from sanderling.reporting.plots import line_chart

    if not history:
        return []
    epochs = [entry["epoch"] for entry in history]
    losses = _series(epochs, [entry.get("losses") or {} for entry in history])
    metrics = _series(epochs, [entry.get("metrics") or {} for entry in history])
    metrics = {
        name: metrics[name] for name in ("AP50", "AP", "AP75", "AP_small", "AP_medium", "AP_large") if name in metrics
    }
    charts = plots.draw(
        "losses",
        line_chart,
        alt=f"Training losses over {len(epochs)} epochs",
        title="Losses in training",
        series=losses,
        x_label="epoch",
        y_label="weighted loss",
        emphasis="total",
    )
    if metrics:
        charts += plots.draw(
            "metrics",
            line_chart,
            alt=f"Validation metrics over {len(epochs)} epochs",
            title="Metrics in validation",
            series=metrics,
            x_label="epoch",
            y_label="",
            percent=True,
        )
    for name, key, chart_title in (
        ("learning_rate", "lr", "Learning rate"),
        ("throughput", "pictures_per_s", "Pictures per second in training"),
    ):
        values = [entry.get(key) for entry in history]
        if any(value is not None for value in values):
            charts += plots.draw(
                name,
                line_chart,
                alt=f"{chart_title} over {len(epochs)} epochs",
                title=chart_title,
                series={chart_title: (epochs, values)},
                x_label="epoch",
                y_label="",
            )
    return [Section(title="Training", blocks=(Text(text=_progress(history)), Charts(pictures=tuple(charts))))]


def _series(
    epochs: Sequence[float], entries: Sequence[Mapping[str, float | None]]
) -> dict[str, tuple[list[float], list[float]]]:
    """Name to epochs and values, of those epochs that have one."""
    names = dict.fromkeys(name for entry in entries for name in entry)
    series = {}
    for name in names:
        points = [
            (epoch, entry[name]) for epoch, entry in zip(epochs, entries, strict=True) if entry.get(name) is not None
        ]
        series[name] = ([epoch for epoch, _ in points], [float(value or 0) for _, value in points])
    return series


def _progress(history: Sequence[Mapping[str, Any]]) -> str:
    from sanderling.reporting.tables import seconds

    text = (
        f"{len(history):,} epochs in {seconds(sum(entry.get('time_s') or 0 for entry in history))} without validation."
    )
    validated = [entry for entry in history if (entry.get("metrics") or {}).get("AP") is not None]
    if validated:
        best, epoch = max((entry["metrics"]["AP"], -entry["epoch"]) for entry in validated)
        text += f" The best AP while training was {100 * best:.1f} % after epoch {-epoch}."
    return text


def _measured(report: Report, plots: _Plots) -> list[Section]:
    from sanderling.reporting.page import Beside, Charts, Section
    from sanderling.reporting.plots import bar_chart
    from sanderling.reporting.tables import class_table, counts_table, metrics_table

    blocks: list[Block] = [dataclasses.replace(class_table(report), title="")]
    if len(report.per_class) > 1:
        bars = plots.draw(
            "ap_per_class",
            bar_chart,
            alt="Average precision at IoU 0.50 of every class",
            title="AP50 per class, %",
            labels=[entry.name for entry in report.per_class],
            values=[entry.AP50 for entry in report.per_class],
            percent=True,
        )
        blocks.append(Charts(pictures=tuple(bars), wide=True))
    return [
        Section(title="Metrics", blocks=(Beside(tables=(metrics_table(report), counts_table(report))),)),
        Section(title="Classes", blocks=tuple(blocks)),
    ]


def _mean(curves: Sequence[_Values], classes: int) -> _Values:
    return np.sum(curves, axis=0) / classes if curves else np.zeros(len(_GRID))


def _curves(curves: Sequence[ClassCurve], mean_f1: _Values, classes: int, plots: _Plots) -> list[Section]:
    from sanderling.reporting.page import Charts, Section, Text
    from sanderling.reporting.plots import line_chart

    precision = {curve.name: (curve.recall, curve.precision) for curve in curves}
    f1 = {curve.name: (curve.scores, curve.f1) for curve in curves}
    text = "No class has both objects and detections, so there are no curves."
    if curves:
        text = (
            "A detection is right where it overlaps an object of its class by an IoU of at least 0.50. "
            f"The mean F1 of the classes is largest, {mean_f1.max():.2f}, where detections from a score of "
            f"{_GRID[mean_f1.argmax()]:.2f} on are taken."
        )
        if classes > 1:
            mean = _mean([_at_recalls(curve.recall, curve.precision, _GRID) for curve in curves], classes)
            precision[_MEAN] = _GRID, mean
            f1[_MEAN] = _GRID, mean_f1
    charts = [
        *plots.draw(
            "precision_recall",
            line_chart,
            alt="Precision over recall at IoU 0.50, one curve per class",
            title="Precision over recall",
            series=precision,
            x_label="recall",
            y_label="precision",
            emphasis=_MEAN,
            percent=True,
            limits=(0, 1.02),
        ),
        *plots.draw(
            "f1",
            line_chart,
            alt="F1 over the score threshold at IoU 0.50, one curve per class",
            title="F1 over the threshold",
            series=f1,
            x_label="score from which detections are taken",
            y_label="F1",
            emphasis=_MEAN,
            limits=(0, 1.02),
        ),
    ]
    return [Section(title="Precision and recall", blocks=(Text(text=text), Charts(pictures=tuple(charts))))]


def _at_thresholds(scores: _Values, values: _Values, grid: _Values) -> _Values:
    """Values of a curve over falling scores at given thresholds: of the last point that still scores as much."""
    taken = np.searchsorted(-scores, -grid, side="right")
    return np.where(taken > 0, values[np.maximum(taken - 1, 0)], 0.0)


def _at_recalls(recall: _Values, precision: _Values, grid: _Values) -> _Values:
    """The best precision at no less than each given recall; 0 beyond the curve's end."""
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return best[np.searchsorted(recall, grid, side="left")]


def _confusion(dataset: Dataset, found: FlatDetections, threshold: float, plots: _Plots) -> list[Section]:
    from sanderling.evaluation.curves import confusion_matrix
    from sanderling.reporting.page import Charts, Section, Text
    from sanderling.reporting.plots import matrix_chart
    from sanderling.reporting.tables import Column, Table

    matrix = confusion_matrix(dataset, found, threshold=threshold)
    sums = matrix.counts.sum(axis=1, keepdims=True)
    shares = np.divide(matrix.counts, sums, out=np.zeros(matrix.counts.shape), where=sums > 0)
    rows, columns = [*matrix.class_names, "background"], [*matrix.class_names, "not found"]
    charts = plots.draw(
        "confusion_matrix",
        matrix_chart,
        alt="Confusion matrix: classes of objects against classes of detections",
        title="Objects and what they were found as",
        rows=rows,
        columns=columns,
        values=shares,
        texts=[[f"{count:,}" if count else "" for count in row] for row in matrix.counts.tolist()],
        x_label="found as",
        y_label="labelled as",
        percent=True,
    )
    apart = matrix.counts.copy()
    np.fill_diagonal(apart, 0)
    order = np.argsort(-apart, axis=None, kind="stable")[:_CONFUSIONS]
    pairs = [divmod(int(place), len(columns)) for place in order if apart.flat[place]]
    table = Table(
        title="Most frequent mistakes",
        columns=(
            Column(name="labelled as"),
            Column(name="found as"),
            Column(name="count", kind="whole"),
            Column(name="share of the row, %", kind="percent"),
        ),
        rows=tuple(
            (rows[row], columns[column], int(apart[row, column]), float(shares[row, column])) for row, column in pairs
        ),
    )
    text = (
        f"Detections from a score of {threshold:.2f} on, each paired with the object of any class that it overlaps "
        "most (IoU at least 0.50). The darker a cell, the larger its share of the row; the last row holds false alarms."
    )
    return [
        Section(
            title="Confusion",
            blocks=(Text(text=text), Charts(pictures=tuple(charts), wide=True), *([table] if pairs else [])),
        )
    ]


def _footer() -> str:
    from datetime import datetime

    import sanderling

    return f"Written by sanderling {sanderling.__version__} on {datetime.now().astimezone():%Y-%m-%d at %H:%M %Z}."
