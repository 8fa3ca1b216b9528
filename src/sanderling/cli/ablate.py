"""`sanderling ablate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sanderling.cli import options, printing


def ablate(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="The baseline: a model, a recipe or a run.yaml.")
    ] = None,
    *,
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="COCO JSON, VOC folder, YOLO data.yaml, or a folder with one.")
    ] = None,
    data_format: options.DataFormat = None,
    switches: Annotated[
        list[str] | None,
        typer.Option("--switch", metavar="NAME", help="A step: names and KEY=VALUE, joined by commas; repeatable."),
    ] = None,
    list_switches: Annotated[bool, typer.Option("--list-switches", help="Name every switch and stop.")] = False,
    ladder: Annotated[
        str | None, typer.Option(metavar="ppyolo", help="The steps of a published table, before --switch.")
    ] = None,
    rows: Annotated[
        list[str] | None, typer.Option(metavar="A,I,K", help="Of the ladder only these, each with all up to it.")
    ] = None,
    mode: Annotated[
        str, typer.Option(metavar="ladder|single", help="Each step on top of the last, or alone on the baseline.")
    ] = "ladder",
    seeds: Annotated[int, typer.Option(metavar="N", help="Trainings of each step.")] = 3,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Of the baseline.")] = None,
    minutes: Annotated[float | None, typer.Option(metavar="N", help="Of each training: as many epochs as fit.")] = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="Pictures a step of the baseline.")] = None,
    imgsz: options.ImageSize = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Of the baseline, anything in run.yaml.")
    ] = None,
    device: options.Device = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Processes that load pictures.")] = None,
    threads: options.Threads = None,
    ray: Annotated[bool, typer.Option("--ray", help="Train many at once, through Ray.")] = False,
    latency: Annotated[bool, typer.Option("--latency/--no-latency", help="Measure the exported networks.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name the steps and the time they take; stop.")] = False,
    output: options.Output = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Train again what was trained otherwise.")] = False,
    json: options.Json = None,
) -> None:
    """Measure what each switch is worth, on your own data.

    Trains a baseline and a run for every step, each with several seeds, and
    compares them: mean, spread, difference, parameters, multiply-adds, latency.
    A step that changes only model.postprocess is measured, not trained.

    Examples:
        sanderling ablate --list-switches
        sanderling ablate nanodet-m --data birds/ --switch mixup --switch crop
        sanderling ablate nanodet-m --data birds/ --mode single
            --switch grid-mask --switch optimizer.lr=0.001,warmup.steps=50
        sanderling ablate ppyolo-small --data birds/ --minutes 2.5
            --switch resnet-dcn --switch large-batch,ema,drop-block
        sanderling ablate --ladder ppyolo --data birds/ -o out/ladder
            --switch weights=distilled.safetensors --switch double-schedule

    The last one is PP-YOLO's table A to K at a processor's size, with the
    published figures beside: --ladder ppyolo stands for rows A to I, and J
    needs weights (see: sanderling weights distill --help). --rows A,I,K
    measures only these three, each with all switches up to it.

    --minutes times each step first; one that is about as fast as the step it
    is compared with gets as many epochs. --dry-run tells the steps, what each
    changes and how long all of it takes.

    The same command on the same -o goes on where it was stopped, also with
    more steps or seeds. Results whose data or weights have changed are refused
    until --overwrite.

    Writes a folder, runs/ablate/NAME without -o: a folder for every run,
    ablation.json, .md, .csv, .png and .html. With --ray all machines need
    that folder and the data set under the same path.

    Exit codes: 0 done, 1 some runs failed, 2 wrong use, 3 data, 4 a step's
    network cannot be built or its weights do not fit, 6 Ray does not start,
    7 the extra [train] or [ray] is not installed, 130 interrupted.
    """
    from sanderling.commands.ablate import ablate as measure
    from sanderling.commands.ablate import list_switches as switch_names

    if list_switches:
        names = switch_names()
        if printing.for_people(names, json):
            width = max(len(switch["name"]) for switch in names)
            for switch in names:
                printing.say(f"{switch['name']:<{width}}  {switch['help']}")
        return
    if data is None:
        raise typer.BadParameter("a data set is needed: --data PATH")
    outcome = measure(
        run,
        data=data,
        data_format=data_format,
        switches=switches or (),
        ladder=ladder,
        rows=options.separate(rows) or (),
        mode=mode,
        seeds=seeds,
        epochs=epochs,
        minutes=minutes,
        batch=batch,
        imgsz=imgsz,
        device=device,
        workers=workers,
        threads=threads,
        assignments=assignments or (),
        ray=ray,
        latency=latency,
        dry_run=dry_run,
        output=output,
        overwrite=overwrite,
    )
    folder = None if outcome.folder is None else str(outcome.folder)
    if printing.for_people({"folder": folder, **outcome.plain}, json):
        printing.show(outcome.table)
        if folder is not None:
            printing.say(f"study: {folder}")
    if outcome.failed:
        raise typer.Exit(1)
