"""Charts as PNG files: bars, spreads, histogram, lines, matrix. One look for all, legible with one class or eighty.

Matplotlib is imported inside and only its object-oriented interface is used, so that no global state is touched.
Files appear whole or not at all.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sanderling.errors import MissingDependencyError

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F6D5F", "#8C6BB1")
"""Colours that colour-blind readers tell apart (Okabe and Ito's, less the yellow, with two more)."""

_INK, _MUTED, _GRID, _FAINT = "#24292F", "#57606A", "#E3E7EB", "#B6BEC7"
_DPI = 144
_MOST_BARS = 80
_MOST_CELLS_WITH_TEXT = 20 * 20
_LONGEST_LABEL = 28


def bar_chart(
    path: Path, *, title: str, labels: Sequence[str], values: Sequence[float], x_label: str = "", percent: bool = False
) -> None:
    """Draw horizontal bars in the order given, the first on top, each with its value.

    Args:
        path: the PNG file.
        title: heading of the chart.
        labels: one per bar; long ones are shortened in the middle.
        values: one per bar; of more than 80 bars the 80 longest are drawn and the chart says so. NaN draws nothing.
        x_label: what the values are.
        percent: the values are fractions and are written as percent.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ValueError: not one value per label.
    """
    numbers = _numbers(values)
    if len(labels) != len(numbers):
        raise ValueError(f"bar_chart: {len(numbers)} values for {len(labels)} labels; one per label is expected")
    shown = np.arange(len(numbers))
    if len(shown) > _MOST_BARS:
        shown = np.argsort(-np.nan_to_num(numbers, nan=-np.inf), kind="stable")[:_MOST_BARS]
        title = f"{title} (the {_MOST_BARS} largest of {len(numbers)})"
    chart = _Chart(title, size_inches=(7.2, 1.25 + max(2, len(shown)) * (0.36 if len(shown) <= 20 else 0.2)))
    if not len(shown):
        chart.say("nothing to show")
    else:
        axes, places = chart.axes, np.arange(len(shown))
        lengths = np.nan_to_num(numbers[shown])
        small = len(shown) > 20
        axes.barh(places, lengths, height=0.68, color=PALETTE[0], zorder=2)
        _ticks(axes.set_yticks, axes.get_yticklabels, places, [labels[int(at)] for at in shown], 7 if small else 9)
        axes.invert_yaxis()
        axes.set_ylim(len(shown) - 0.4, -0.6)
        longest = float(lengths.max(initial=0.0))
        axes.set_xlim(min(0.0, float(lengths.min(initial=0.0))) * 1.1, (longest or 1.0) * 1.12)
        for place, at in zip(places, shown, strict=True):
            text = _text(float(numbers[at]), percent=percent, whole=bool((numbers == np.round(numbers)).all()))
            axes.annotate(
                text,
                (max(0.0, float(lengths[place])), place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=6.5 if small else 8.5,
                color=_MUTED,
            )
        chart.grid("x")
        chart.percent_axis("x", percent=percent)
        chart.label(x=x_label)
    chart.write(path)


def spread_chart(
    path: Path, *, title: str, labels: Sequence[str], values: Sequence[ArrayLike], x_label: str, percent: bool = False
) -> None:
    """Draw every single value as a point and, over them, the mean with one standard deviation to either side.

    Args:
        path: the PNG file.
        title: heading of the chart.
        labels: one per row, the first on top.
        values: of each row, any number.
        x_label: what they are.
        percent: they are fractions.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    chart = _Chart(title, size_inches=(7.2, 1.25 + max(2, len(labels)) * 0.36))
    for place, row in enumerate(map(_numbers, values)):
        if len(row):
            chart.axes.plot(row, row * 0 + place, "o", markersize=4, color=_FAINT, zorder=2)
            spread = row.std(ddof=min(1, len(row) - 1))
            chart.axes.errorbar(row.mean(), place, xerr=spread, fmt="D", markersize=5, color=PALETTE[0], zorder=3)
    _ticks(chart.axes.set_yticks, chart.axes.get_yticklabels, range(len(labels)), labels, 9)
    chart.axes.set_ylim(len(labels) - 0.4, -0.6)
    chart.grid("x")
    chart.percent_axis("x", percent=percent)
    chart.label(x=x_label)
    chart.write(path)


def histogram(path: Path, *, title: str, values: ArrayLike, bins: int, x_label: str, y_label: str = "count") -> None:
    """Draw how often values fall into equal bins; a few far ones beyond the 99.5th percentile share the last bin.

    Args:
        path: the PNG file.
        title: heading of the chart.
        values: any number of numbers; those that are not finite are left out.
        bins: how many bins; whole numbers over a short range get one bin each instead.
        x_label: what the values are.
        y_label: what is counted.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    numbers = _numbers(values)
    numbers = numbers[np.isfinite(numbers)]
    chart = _Chart(title)
    if not len(numbers):
        chart.say("nothing to show")
    else:
        edges, cut = _edges(numbers, bins)
        counts, _ = np.histogram(np.minimum(numbers, np.nextafter(edges[-1], -np.inf)), edges)
        chart.axes.bar(
            edges[:-1],
            counts,
            width=np.diff(edges),
            align="edge",
            color=PALETTE[0],
            edgecolor="white",
            linewidth=0.6,
            zorder=2,
        )
        median = float(np.median(numbers))
        chart.axes.axvline(median, color=PALETTE[1], linewidth=1.4, zorder=3)
        chart.axes.annotate(
            f"median {median:.4g}",
            (median, 1),
            xycoords=("data", "axes fraction"),
            xytext=(5, -12),
            textcoords="offset points",
            fontsize=9,
            color=PALETTE[1],
        )
        chart.axes.margins(x=0.01)
        chart.grid("y")
        chart.label(x=x_label + (f" (last bin: all from {edges[-2]:.4g})" if cut else ""), y=y_label)
    chart.write(path)


def line_chart(
    path: Path,
    *,
    title: str,
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x_label: str,
    y_label: str,
    emphasis: str | None = None,
    percent: bool = False,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw one line per series; where there are too many to tell apart, all but one are pale and share a name.

    Args:
        path: the PNG file.
        title: heading of the chart.
        series: name to x and y values of equal length; NaN leaves a gap.
        x_label: what x is.
        y_label: what y is.
        emphasis: the series that is drawn strong, on top.
        percent: y holds fractions and is written as percent.
        limits: range of y; by the values without it.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ValueError: a series whose x and y differ in length.
    """
    chart = _Chart(title)
    lines = {name: (_numbers(x), _numbers(y)) for name, (x, y) in series.items()}
    for name, (x, y) in lines.items():
        if len(x) != len(y):
            raise ValueError(f"line_chart: series {name!r} has {len(x)} x and {len(y)} y values; as many are expected")
    lines = {name: line for name, line in lines.items() if np.isfinite(line[1]).any()}
    if not lines:
        chart.say("nothing to show")
    else:
        plain = [name for name in lines if name != emphasis]
        crowded = len(plain) > len(PALETTE)
        handles: list[Any] = []
        names: list[str] = []
        for index, name in enumerate(plain):
            x, y = lines[name]
            look: dict[str, Any] = (
                {"color": _FAINT, "linewidth": 0.8, "alpha": 0.8}
                if crowded
                else {"color": PALETTE[index % len(PALETTE)], "linewidth": 1.7}
            )
            (handle,) = chart.axes.plot(x, y, marker=_marker(x), markersize=3.5, zorder=2, **look)
            if not crowded or index == 0:
                handles.append(handle)
                names.append(f"each of {len(plain)} classes" if crowded else name)
        if emphasis in lines:
            x, y = lines[emphasis]
            (handle,) = chart.axes.plot(x, y, color=_INK, linewidth=2.4, marker=_marker(x), markersize=3.5, zorder=3)
            handles.insert(0, handle)
            names.insert(0, str(emphasis))
        chart.axes.margins(x=0.02)
        chart.grid("both")
        chart.percent_axis("y", percent=percent)
        if limits is not None:
            chart.axes.set_ylim(*limits)
        along = np.concatenate([x for x, _ in lines.values()])
        if (along == np.round(along)).all():
            chart.whole_numbers("x")
            chart.axes.set_xlim(along.min() - 0.5, along.max() + 0.5)
        chart.label(x=x_label, y=y_label)
        if len(names) > 1:
            chart.legend(handles, names)
    chart.write(path)


def matrix_chart(
    path: Path,
    *,
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: ArrayLike,
    texts: Sequence[Sequence[str]] | None = None,
    x_label: str = "",
    y_label: str = "",
    percent: bool = False,
) -> None:
    """Draw a matrix as a field of cells, darker where the value is larger, with the values where they fit.

    Args:
        path: the PNG file.
        title: heading of the chart.
        rows: names from top to bottom.
        columns: names from left to right.
        values: len(rows) x len(columns); NaN leaves the cell blank.
        texts: what stands in the cells instead of the values.
        x_label: what the columns are.
        y_label: what the rows are.
        percent: the values are fractions and are written as percent.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ValueError: the values do not have one row per name and one column per name.
    """
    numbers = _numbers(values)
    if numbers.shape != (len(rows), len(columns)):
        raise ValueError(
            f"matrix_chart: values have shape {numbers.shape}; {(len(rows), len(columns))} is expected by the names"
        )
    most = max(len(rows), len(columns), 1)
    cell = 0.62 if most <= 8 else 0.42 if most <= 25 else 0.125
    sides = (max(5.5, 2.4 + cell * len(columns)), max(3.2, 1.7 + cell * len(rows)))
    chart = _Chart(title, size_inches=sides)
    if not numbers.size:
        chart.say("nothing to show")
    else:
        axes = chart.axes
        top = float(np.nan_to_num(numbers).max())
        axes.pcolormesh(
            np.arange(len(columns) + 1) - 0.5,
            np.arange(len(rows) + 1) - 0.5,
            np.ma.masked_invalid(numbers),
            cmap=_blues(),
            vmin=0,
            vmax=top or 1,
            edgecolors="white",
            linewidth=1.5 if most <= 25 else 0.3,
        )
        axes.invert_yaxis()
        size = 9.0 if most <= 8 else 7.5 if most <= 25 else 5.0
        _ticks(axes.set_xticks, axes.get_xticklabels, range(len(columns)), columns, size)
        _ticks(axes.set_yticks, axes.get_yticklabels, range(len(rows)), rows, size)
        turned = len(columns) > 4 or max(map(len, columns)) * len(columns) > 50
        for label in axes.get_xticklabels():
            label.set(rotation=90 if turned else 0, ha="center")
        axes.tick_params(length=0)
        if numbers.size <= _MOST_CELLS_WITH_TEXT:
            whole = bool((numbers == np.round(numbers)).all()) and not percent
            for (row, column), value in np.ndenumerate(numbers):
                text = _text(float(value), percent=percent, whole=whole) if texts is None else texts[row][column]
                ink = "white" if value > 0.55 * top else _INK
                if text:
                    axes.text(
                        column, row, text, ha="center", va="center", fontsize=size - 0.5, color=ink, parse_math=False
                    )
        chart.frame(visible=False)
        chart.label(x=x_label, y=y_label)
    chart.write(path)


class _Chart:
    """A figure with one set of axes in the common look."""

    def __init__(self, title: str, *, size_inches: tuple[float, float] = (6.6, 4.0)) -> None:
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError:
            raise MissingDependencyError.for_extra("matplotlib", extra="train", purpose="drawing plots") from None
        self.figure = Figure(figsize=size_inches, dpi=_DPI, facecolor="white", layout="constrained")
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_subplot()
        self.axes.set_title(
            title, loc="left", fontsize=12, fontweight="bold", color=_INK, pad=12, parse_math=False, wrap=True
        )
        self.axes.tick_params(labelsize=9, labelcolor=_MUTED, color=_GRID)
        self.axes.set_axisbelow(True)
        self.frame(visible=True)

    def frame(self, *, visible: bool) -> None:
        """Only the left and lower edge, or none."""
        for side, spine in self.axes.spines.items():
            spine.set_visible(visible and side in ("left", "bottom"))
            spine.set_color(_FAINT)

    def say(self, text: str) -> None:
        """Words in place of a chart."""
        self.axes.set_axis_off()
        self.axes.text(0.5, 0.5, text, ha="center", va="center", transform=self.axes.transAxes, color=_MUTED)

    def grid(self, axis: Literal["x", "y", "both"]) -> None:
        """Light lines along one axis or both."""
        self.axes.grid(axis=axis, color=_GRID, linewidth=0.8)

    def label(self, *, x: str = "", y: str = "") -> None:
        """What the axes are."""
        self.axes.set_xlabel(x, fontsize=10, color=_MUTED, parse_math=False)
        self.axes.set_ylabel(y, fontsize=10, color=_MUTED, parse_math=False)

    def percent_axis(self, axis: str, *, percent: bool) -> None:
        """Write fractions as percent, large numbers with commas, and keep negative powers readable."""
        from matplotlib.ticker import FuncFormatter

        chosen = self.axes.xaxis if axis == "x" else self.axes.yaxis
        chosen.set_major_formatter(
            FuncFormatter(lambda value, _: f"{100 * value:.4g}%" if percent else f"{value:,.6g}")
        )

    def whole_numbers(self, axis: str) -> None:
        """Ticks at whole numbers only."""
        from matplotlib.ticker import MaxNLocator

        chosen = self.axes.xaxis if axis == "x" else self.axes.yaxis
        chosen.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))

    def legend(self, handles: list[Any], names: list[str]) -> None:
        """Names below the chart, where they cover no line."""
        # Matplotlib drops names that begin with an underscore.
        shown = [_short(f" {name}" if name.startswith("_") else name) for name in names]
        legend = self.figure.legend(
            handles,
            shown,
            loc="outside lower left",
            ncols=4,
            frameon=False,
            fontsize=9,
            labelcolor=_INK,
            handlelength=1.4,
            columnspacing=1.4,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)

    def write(self, path: Path) -> None:
        """Write the PNG under another name first."""
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with warnings.catch_warnings():
                # A class name in a script that the font lacks is no reason to trouble anybody.
                warnings.filterwarnings("ignore", message="Glyph .* missing from")
                self.figure.savefig(unfinished, format="png")
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def _blues() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("sanderling", ["#F4F7FA", "#9CC4DE", PALETTE[0], "#06375A"])


def _numbers(values: Any) -> NDArray[np.float64]:
    """Any numbers as float64, None as NaN."""
    return np.asarray(values, dtype=np.float64)


def _edges(numbers: NDArray[np.float64], bins: int) -> tuple[NDArray[np.float64], bool]:
    """Edges of the bins and whether far values were drawn into the last one."""
    low, high = float(numbers.min()), float(numbers.max())
    if (numbers == np.round(numbers)).all() and high - low < bins:
        return np.arange(low - 0.5, high + 1.0), False
    far = float(np.quantile(numbers, 0.995))
    cut = high > low + 1.3 * (far - low) and far > low
    end = far if cut else high
    if not end > low:
        return np.array([low - 0.5, low + 0.5]), False
    return np.linspace(low, end, max(2, bins) + 1), cut


def _marker(x: NDArray[np.float64]) -> str:
    """Points are marked where there are few."""
    return "o" if len(x) <= 30 else ""


def _text(value: float, *, percent: bool, whole: bool) -> str:
    if not math.isfinite(value):
        return ""
    if percent:
        return f"{100 * value:.1f}"
    return f"{value:,.0f}" if whole else f"{value:.3g}"


def _ticks(set_ticks: Any, get_labels: Any, places: Any, names: Sequence[str], size: float) -> None:
    """Put names at places; a dollar sign in a name is a dollar sign."""
    set_ticks(list(places), labels=[_short(name) for name in names], fontsize=size)
    for label in get_labels():
        label.set(parse_math=False, color=_INK)


def _short(name: str) -> str:
    """A long name without its middle."""
    if len(name) <= _LONGEST_LABEL:
        return name
    head = (_LONGEST_LABEL - 1) * 2 // 3
    return f"{name[:head]}…{name[head + 1 - _LONGEST_LABEL :]}"
