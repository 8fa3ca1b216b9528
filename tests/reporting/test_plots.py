from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.errors import MissingDependencyError
from sanderling.pictures import decode
from sanderling.reporting import plots

pytest.importorskip("matplotlib")

ODD_NAMES = ["_hidden", "$x^2$", "a" * 90, "火", "<b>", "", "two\nlines"]


def count(picture: NDArray[np.uint8], colour: str) -> int:
    """Pixels of exactly this colour."""
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return int((picture == wanted).all(axis=2).sum())


class TestBars:
    def test_longer_values_are_longer_bars(self, tmp_path: Path) -> None:
        areas = []
        for values in ([1, 3], [3, 3]):
            plots.bar_chart(tmp_path / "bars.png", title="bars", labels=["a", "b"], values=values)
            areas.append(count(decode(tmp_path / "bars.png"), plots.PALETTE[0]))
        assert areas[0] / areas[1] == pytest.approx(4 / 6, rel=0.03)

    def test_many_bars_get_the_room_they_need_and_more_are_cut(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(plots, "_MOST_BARS", 30)
        heights = []
        for number in (3, 30, 400):
            labels, values = [f"class {at}" for at in range(number)], list(np.linspace(0, 1, number))
            plots.bar_chart(tmp_path / "bars.png", title="t", labels=labels, values=values, percent=True)
            heights.append(decode(tmp_path / "bars.png").shape[0])
        assert heights[1] > 2 * heights[0]
        assert heights[2] == heights[1]

    def test_what_was_not_measured_has_no_bar(self, tmp_path: Path) -> None:
        plots.bar_chart(tmp_path / "bars.png", title="t", labels=["a", "b"], values=[None, float("nan")])  # type: ignore[list-item]
        assert not count(decode(tmp_path / "bars.png"), plots.PALETTE[0])

    def test_one_value_per_label(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="2 values for 1 labels"):
            plots.bar_chart(tmp_path / "bars.png", title="t", labels=["a"], values=[1, 2])


class TestHistogram:
    @pytest.mark.parametrize(
        "values",
        [[], [3.5] * 9, [np.nan, np.inf], [1, 2, 2, 5], [-1e9, 1e9], np.random.default_rng(0).lognormal(3, 1, 500)],
    )
    def test_any_values(self, tmp_path: Path, values: Any) -> None:
        plots.histogram(tmp_path / "h.png", title="t", values=values, bins=40, x_label="x")
        drawn = count(decode(tmp_path / "h.png"), plots.PALETTE[0]) > 0
        assert drawn == bool(np.isfinite(np.asarray(values, float)).any())

    def test_whole_numbers_get_a_bin_each(self) -> None:
        edges, cut = plots._edges(np.array([0.0, 3, 3, 5]), 40)
        np.testing.assert_array_equal(edges, np.arange(-0.5, 6))
        assert not cut

    def test_a_few_far_values_do_not_squeeze_the_rest(self) -> None:
        values = np.concatenate([np.linspace(0, 10, 1000), [5000.0]])
        edges, cut = plots._edges(values, 20)
        assert cut
        assert edges[-1] < 11

    def test_every_value_is_counted(self) -> None:
        values = np.concatenate([np.linspace(0, 10, 1000), [5000.0]])
        edges, _ = plots._edges(values, 20)
        inside = np.minimum(values, np.nextafter(edges[-1], -np.inf))
        assert np.histogram(inside, edges)[0].sum() == len(values)


class TestLines:
    def test_a_colour_per_line_and_ink_for_the_main_one(self, tmp_path: Path) -> None:
        series: Any = {name: ([1, 2, 3], [at, at, at]) for at, name in enumerate(["a", "b", "all"])}
        plots.line_chart(tmp_path / "l.png", title="t", series=series, x_label="x", y_label="y", emphasis="all")
        picture = decode(tmp_path / "l.png")
        assert count(picture, plots.PALETTE[0]) > 100
        assert count(picture, plots.PALETTE[1]) > 100
        assert not count(picture, plots.PALETTE[2])

    def test_eighty_lines_are_pale(self, tmp_path: Path) -> None:
        series: Any = {f"class {at}": ([0, 1], [at, 80 - at]) for at in range(80)}
        plots.line_chart(tmp_path / "l.png", title="t", series=series, x_label="x", y_label="y")
        assert not any(count(decode(tmp_path / "l.png"), colour) for colour in plots.PALETTE)

    @pytest.mark.parametrize(
        "series",
        [
            {},
            {"a": ([], [])},
            {"a": ([1], [2.0])},
            {"a": ([1, 2], [None, 1.0]), "b": ([1, 2], [float("nan"), float("nan")])},
            {"a": ([0.5, 0.7], [1e-9, 2e-9])},
        ],
    )
    def test_any_lines(self, tmp_path: Path, series: Any) -> None:
        plots.line_chart(tmp_path / "l.png", title="t", series=series, x_label="x", y_label="y", percent=True)
        assert decode(tmp_path / "l.png").shape[2] == 3

    def test_x_and_y_belong_together(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="series 'a' has 2 x and 1 y values"):
            plots.line_chart(tmp_path / "l.png", title="t", series={"a": ([1, 2], [1])}, x_label="", y_label="")


class TestMatrix:
    def test_larger_is_darker(self, tmp_path: Path) -> None:
        plots.matrix_chart(
            tmp_path / "m.png",
            title="t",
            rows=["r"],
            columns=["small", "large"],
            values=[[0.0, 1.0]],
            texts=[["", ""]],
        )
        picture = decode(tmp_path / "m.png").astype(int).sum(axis=2)
        middle = picture[picture.shape[0] // 2]
        left, right = middle[len(middle) // 3], middle[len(middle) * 4 // 5]
        assert left > right + 300

    @pytest.mark.parametrize("classes", [1, 2, 9, 26, pytest.param(81, marks=pytest.mark.slow)])
    def test_any_number_of_classes(self, tmp_path: Path, classes: int) -> None:
        names = [f"class number {at}" for at in range(classes)]
        values = np.eye(classes)
        values[0, -1] = np.nan
        plots.matrix_chart(tmp_path / "m.png", title="t", rows=names, columns=names, values=values, percent=True)
        height, width = decode(tmp_path / "m.png").shape[:2]
        assert max(height, width) < 2200

    def test_nothing_at_all(self, tmp_path: Path) -> None:
        plots.matrix_chart(tmp_path / "m.png", title="t", rows=[], columns=[], values=np.zeros((0, 0)))
        assert (tmp_path / "m.png").exists()

    def test_one_row_and_column_per_name(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"values have shape \(1, 2\); \(2, 1\) is expected by the names"):
            plots.matrix_chart(tmp_path / "m.png", title="t", rows=["a", "b"], columns=["c"], values=[[1, 2]])


def _all_charts(names: list[str]) -> list[Callable[[Path], None]]:
    title = names[1]
    line: Any = {name: ([0, 1], [at, 1]) for at, name in enumerate(names)}
    square = np.ones((len(names), len(names)))
    return [
        lambda path: plots.bar_chart(path, title=title, labels=names, values=[1.5] * len(names), x_label=title),
        lambda path: plots.histogram(path, title=title, values=[1, 2, 3], bins=3, x_label=title),
        lambda path: plots.line_chart(path, title=title, series=line, x_label=title, y_label=title),
        lambda path: plots.matrix_chart(path, title=title, rows=names, columns=names, values=square, x_label=title),
    ]


@pytest.mark.parametrize("chart", range(4))
def test_names_are_shown_as_they_are_without_a_warning(tmp_path: Path, chart: int) -> None:
    _all_charts(ODD_NAMES)[chart](tmp_path / "chart.png")
    assert decode(tmp_path / "chart.png").any()


@pytest.mark.parametrize("chart", range(4))
def test_without_matplotlib_one_clear_error_and_no_file(
    tmp_path: Path, chart: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"'matplotlib', which is not installed; run: pip install 'sand"):
        _all_charts(ODD_NAMES)[chart](tmp_path / "chart.png")
    assert list(tmp_path.iterdir()) == []


def test_a_chart_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    def fail(figure: Figure, path: Path, **rest: Any) -> None:
        Path(path).write_bytes(b"half a picture")
        raise OSError("disk full")

    (tmp_path / "chart.png").write_bytes(b"the old one")
    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        plots.histogram(tmp_path / "chart.png", title="t", values=[1], bins=2, x_label="x")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("chart.png", b"the old one")]


def test_no_global_state_is_touched(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sanderling.reporting import plots;"
        "assert 'matplotlib' not in sys.modules;"
        f"plots.histogram(Path({str(tmp_path / 'h.png')!r}), title='t', values=[1, 2], bins=2, x_label='x');"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class TestSpread:
    def test_every_run_is_a_point_and_the_spread_is_a_line(self, tmp_path: Path) -> None:
        lengths = []
        for values in ([0.2, 0.4, 0.3], [0.29, 0.31, 0.30]):
            plots.spread_chart(
                tmp_path / "s.png",
                title="t",
                labels=["a", "b"],
                values=[values, [0.1, 0.5]],
                x_label="AP",
                percent=True,
            )
            picture = decode(tmp_path / "s.png")
            # The first row stands in the upper half.
            lengths.append(count(picture[: picture.shape[0] // 2], plots.PALETTE[0]))
        assert lengths[0] > 1.5 * lengths[1]

    def test_rows_with_one_value_or_none_are_drawn(self, tmp_path: Path) -> None:
        heights = []
        for labels in (["a"] * 3, ["a"] * 12):
            values = [[0.3], [], *[[0.1, 0.2]] * (len(labels) - 2)]
            plots.spread_chart(tmp_path / "s.png", title="t", labels=labels, values=values, x_label="")
            heights.append(decode(tmp_path / "s.png").shape[0])
        assert heights[1] > heights[0]

    @pytest.mark.parametrize("values", [[], [[]], [[float("nan")]]])
    def test_nothing_to_show_is_no_error(self, tmp_path: Path, values: list[list[float]]) -> None:
        plots.spread_chart(tmp_path / "s.png", title="t", labels=ODD_NAMES[: len(values)], values=values, x_label="x")
        assert (tmp_path / "s.png").exists()
