"""`sanderling weights import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sanderling.cli import options, printing


def weights() -> None:
    """Read weights that others published.

    Examples:
        sanderling weights import nd.pth --model nanodet-m -o nd.safetensors
    """


def import_(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A NanoDet .pth or .ckpt.")],
    *,
    model: Annotated[str, typer.Option(metavar="NAME", help="The model of the zoo that it belongs to.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The .safetensors file to write.")],
    classes: Annotated[
        list[str] | None, typer.Option(metavar="NAME,...", help="Names of its classes; else COCO's 80.")
    ] = None,
    json: options.Json = None,
) -> None:
    """Read a published checkpoint into a weights file of ours.

    Only arrays are read; nothing in the checkpoint is executed.

    Examples:
        sanderling weights import nd.ckpt --model nanodet-m -o nd.safetensors

    Writes the file that -o names: the weights with their configuration inside.

    Exit codes: 0 written, 2 wrong use, 4 the file does not belong to the model,
    7 the extra [train] is not installed.
    """
    from sanderling.commands.weights import import_weights

    outcome = import_weights(source, model=model, output=output, class_names=options.separate(classes))
    if printing.for_people(outcome.to_plain(), json):
        printing.say(f"{outcome.tensors} tensors of {outcome.source} are in {outcome.output}")
