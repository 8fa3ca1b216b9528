"""`sanderling demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from sanderling.cli import options, printing


def demo(
    *,
    output: options.Output = None,
    overwrite: options.Overwrite = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Other scenes, another training.")] = 0,
    json: options.Json = None,
) -> None:
    """Go the whole path on rendered scenes, from pictures to a report.

    Renders a small data set, trains on it, evaluates, exports, predicts. No
    download, no GPU; minutes on two cores.

    Examples:
        sanderling demo
        sanderling demo -o out/demo --json -

    Writes a folder, runs/demo/NAME without -o. Open its report.html.

    Exit codes: 0 done, 2 wrong use, 6 training failed, 7 the extra [train] is
    not installed.
    """
    from sanderling.commands.demo import demo as run

    outcome = run(output=output, overwrite=overwrite, seed=seed)
    if printing.for_people(outcome.to_plain(), json):
        from sanderling.reporting import tables

        printing.show(tables.metrics_table(outcome.report), tables.class_table(outcome.report))
        printing.say(f"report: {outcome.report_page}")
