"""`sanderling train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from sanderling.cli import options, printing


def number_or_auto(text: str) -> int | str:
    """Read a number of pictures, or `auto`.

    >>> number_or_auto("16"), number_or_auto("auto")
    (16, 'auto')
    """
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number nor auto") from None


def train(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A model, MODEL-published, run.yaml or run folder.")],
    *,
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="COCO JSON, VOC folder, YOLO data.yaml, or a folder with one.")
    ] = None,
    data_format: options.DataFormat = None,
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="Start from these weights.")] = None,
    pretrained: Annotated[
        str | None, typer.Option(metavar="imagenet", help="Download the backbone's weights and start from them.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Times through the pictures.")] = None,
    batch: Annotated[
        Any, typer.Option(metavar="N|auto", parser=number_or_auto, help="Pictures a step, all processes together.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="4GB", help="The budget of --batch auto; else what is free.")
    ] = None,
    imgsz: options.ImageSize = None,
    patience: Annotated[int | None, typer.Option(metavar="N", help="Stop after N epochs without gain.")] = None,
    freeze: Annotated[
        str | None, typer.Option(metavar="N|backbone", help="First stages that stay as they are.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="The same seed gives the same weights.")] = None,
    device: options.Device = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Processes that load pictures.")] = None,
    threads: options.Threads = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Anything that run.yaml holds; repeatable.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the folder under runs/train.")] = None,
    output: options.Output = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in the folder stopped.")] = False,
    overwrite: options.Overwrite = False,
    json: options.Json = None,
) -> None:
    """Train a detector on a data set and measure it.

    What is not given is the recipe's: RUN is a model (see: sanderling models)
    or MODEL-published for the recipe of its authors.

    Examples:
        sanderling train nanodet-m --data birds/ --epochs 50
        sanderling train nanodet-m --data birds/ --weights nanodet-m.safetensors
        sanderling train nanodet-m --data birds/ --pretrained imagenet
        sanderling train nanodet-m --data birds/ --imgsz 320 416 --freeze backbone
        sanderling train nanodet-m --data birds/ --batch auto --memory 4GB
        sanderling train nanodet-m --data birds/ --set optimizer.lr=0.001
        sanderling train runs/train/nanodet-m --resume        go on
        sanderling train runs/train/nanodet-m/run.yaml        the same run again

    Writes a folder, runs/train/NAME without -o: run.yaml, weights/,
    metrics.jsonl, results.csv, plots/, and report.html to send around.

    Exit codes: 0 done, 2 wrong use, 3 data, 4 weights, 6 the run failed
    (diverged, out of memory, a worker died), 7 the extra [train] is not
    installed, 130 interrupted (--resume goes on).
    """
    from sanderling.commands.train import train as run_training

    outcome = run_training(
        run,
        data=data,
        data_format=data_format,
        weights=weights,
        pretrained=pretrained,
        epochs=epochs,
        batch=batch,
        memory=memory,
        imgsz=imgsz,
        patience=patience,
        freeze=freeze,
        seed=seed,
        device=device,
        workers=workers,
        threads=threads,
        assignments=assignments or (),
        name=name,
        output=output,
        resume=resume,
        overwrite=overwrite,
    )
    if os.environ.get("RANK", "0") != "0":
        return  # one of torchrun's other processes: the first one speaks for all
    if printing.for_people(outcome.to_plain(), json):
        from sanderling.reporting import tables

        if outcome.report is not None:
            printing.show(tables.metrics_table(outcome.report), tables.class_table(outcome.report))
        printing.say(f"run folder: {outcome.folder}")
