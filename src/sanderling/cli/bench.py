"""`sanderling bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sanderling.cli import options, printing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanderling.benchmark.result import BenchResult
    from sanderling.reporting.tables import Table


def bench(
    artefacts: Annotated[list[str], typer.Argument(metavar="ARTEFACT", help="Exported models.")],
    *,
    pictures: Annotated[
        str | None, typer.Option(metavar="PATH", help="Pictures that take turns; else one rendered scene.")
    ] = None,
    data: Annotated[str | None, typer.Option(metavar="PATH", help="Measure accuracy too, on this data set.")] = None,
    split: options.Split = None,
    threads: Annotated[int, typer.Option(metavar="N", help="Threads on the processor.")] = 1,
    rounds: Annotated[int, typer.Option(metavar="N", help="Pictures measured with each artefact.")] = 50,
    conf: Annotated[float, typer.Option(metavar="SCORE", help="Lowest score.")] = 0.25,
    memory: Annotated[bool, typer.Option("--memory/--no-memory", help="Measure peak memory.")] = True,
    json: options.Json = None,
) -> None:
    """Measure latency, throughput and memory of exported models.

    Artefacts take turns, a picture each, so that a busy machine harms none more
    than the others. The figures are of this device. Needs no torch.

    Examples:
        sanderling bench nanodet-m.onnx
        sanderling bench small.onnx large.onnx --threads 2 --json -
        sanderling bench nanodet-m.onnx --data birds/

    Writes only what --json names.

    Exit codes: 0 measured, 2 wrong use, 3 pictures or data, 4 artefact, 7 an
    engine is not installed.
    """
    from sanderling.commands.bench import bench as measure
    from sanderling.commands.progress import progress_bar

    with progress_bar("measuring") as progress:
        results = measure(
            artefacts,
            pictures=pictures,
            data=data,
            split=split,
            threads=threads,
            rounds=rounds,
            conf=conf,
            memory=memory,
            progress=progress,
        )
    if printing.for_people([result.to_plain() for result in results], json):
        printing.show(_table(results))


def _table(results: Sequence[BenchResult]) -> Table:
    from sanderling.reporting.tables import Column, Table, size_text

    first = results[0]
    return Table(
        title=f"{first.machine.cpu}, {first.threads} thread(s), {first.rounds} rounds",
        columns=(
            Column(name="artefact"),
            Column(name="input"),
            Column(name="stage"),
            Column(name="median, ms", kind="number", digits=2),
            Column(name="p95, ms", kind="number", digits=2),
            Column(name="CPU, ms", kind="number", digits=2),
            Column(name="pictures/s", kind="number"),
            Column(name="peak, MB", kind="number"),
            Column(name="AP, %", kind="percent"),
        ),
        rows=tuple(
            (
                result.artefact,
                size_text(result.input_hw),
                stage.replace("_", " "),
                timing.median_ms,
                timing.p95_ms,
                timing.cpu_ms,
                timing.pictures_per_s,
                getattr(result.peak_memory, stage, None),
                (result.accuracy or {}).get("AP") if stage == "end_to_end" else None,
            )
            for result in results
            for stage, timing in result.timings.items()
        ),
        note="network: ready tensor to raw outputs; end to end: bytes of a picture file to detections",
    )
