"""The files of an ablation: `ablation.json`, `.md`, `.csv`, `.png` and a page to send around."""

from __future__ import annotations

import csv
import dataclasses
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sanderling import config
from sanderling.errors import MissingDependencyError
from sanderling.reporting.page import Block, Charts, Facts, Picture, Section, Text, write_page
from sanderling.reporting.plots import spread_chart
from sanderling.reporting.tables import Table
from sanderling.studies.ablation import Ablation
from sanderling.studies.results import write_json, write_whole
from sanderling.studies.series import Place, Results
from sanderling.studies.summary import Row, ablation_table

logger = logging.getLogger(__name__)

NAME = "ablation"
_LABEL = 40


def ablation_plain(ablation: Ablation, rows: Sequence[Row], results: Results) -> dict[str, Any]:
    """Everything as plain values; metrics are fractions, what was not measured is None."""
    return {
        "mode": ablation.mode,
        "seeds": list(ablation.seeds),
        "minutes": ablation.minutes,
        "published_source": ablation.source or None,
        "baseline_changes": list(ablation.baseline_changes),
        "rows": [
            {
                **dataclasses.asdict(row),
                "weights_of": ablation.steps[ablation.weights_of(place)].name,
                "seeds": [
                    {
                        "seed": seed,
                        "metrics": result.metrics,
                        "error": result.error,
                        "seconds": result.seconds,
                    }
                    for seed in ablation.seeds
                    if (result := results.get(Place(place, seed))) is not None
                ],
            }
            for place, row in enumerate(rows)
        ],
        "baseline": config.plain(ablation.steps[0].run),
    }


def write_tables(folder: Path, ablation: Ablation, rows: Sequence[Row], results: Results) -> None:
    """Write `ablation.json`, `.md` and `.csv`; cheap enough after every run."""
    write_json(folder / f"{NAME}.json", ablation_plain(ablation, rows, results))
    table = ablation_table(ablation, rows)
    write_whole(folder / f"{NAME}.md", markdown(table))
    write_whole(folder / f"{NAME}.csv", _csv(table))


def write_report(
    folder: Path, ablation: Ablation, rows: Sequence[Row], results: Results, facts: Mapping[str, str]
) -> Path:
    """Write the plot and the page.

    Returns:
        The page.
    """
    table = ablation_table(ablation, rows)
    chart: Block
    try:
        chart = Charts(pictures=(_chart(folder, ablation, rows, results),), wide=True)
    except MissingDependencyError as error:
        logger.warning("%s", error)
        chart = Text(text=f"Without a plot: {error}.")
    return write_page(
        folder / f"{NAME}.html",
        title=f"Ablation of {ablation.steps[0].run.model.name}",
        subtitle="What each switch is worth, measured.",
        sections=(Section(title="Result", blocks=(table, chart)), Section(title="How", blocks=(Facts(facts=facts),))),
    )


def markdown(table: Table) -> str:
    r"""A table as Markdown, with its note below.

    >>> from sanderling.reporting.tables import Column
    >>> print(markdown(Table(columns=(Column(name="a"), Column(name="n", kind="whole")), rows=(("x|y", 1000),))))
    | a | n |
    |---|---:|
    | x\|y | 1,000 |
    <BLANKLINE>
    """
    names = " | ".join(column.name for column in table.columns)
    rules = "|".join("---" if column.kind == "text" else "---:" for column in table.columns)
    rows = [
        " | ".join(column.text(cell).replace("|", "\\|") for column, cell in zip(table.columns, row, strict=True))
        for row in table.rows
    ]
    lines = [f"| {names} |", f"|{rules}|", *(f"| {row} |" for row in rows)]
    return "\n".join([*lines, *(["", table.note] if table.note else [])]) + "\n"


def _csv(table: Table) -> str:
    """The plain values: fractions stay fractions, what was not measured is empty."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(column.name.removesuffix(", %") for column in table.columns)
    rows.writerows(["" if cell is None else cell for cell in row] for row in table.rows)
    return text.getvalue()


def _label(row: Row) -> str:
    """A step in the plot, where long lists of switches find no room."""
    text = f"{row.letter} {row.name}".strip()
    return text if len(text) <= _LABEL else text[: _LABEL - 1] + "…"


def _chart(folder: Path, ablation: Ablation, rows: Sequence[Row], results: Results) -> Picture:
    path = folder / f"{NAME}.png"
    found: list[list[float]] = []
    for place in range(len(rows)):
        metrics = [results[key].metrics or {} for seed in ablation.seeds if (key := Place(place, seed)) in results]
        found.append([ap for each in metrics if (ap := each.get("AP")) is not None])
    spread_chart(
        path,
        title="AP of each step",
        labels=[_label(row) for row in rows],
        values=found,
        x_label="AP, each run a point; mean and standard deviation",
        percent=True,
    )
    return Picture(data=path.read_bytes(), alt="AP of each step: single runs, mean and standard deviation")
