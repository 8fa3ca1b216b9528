"""`sanderling export`."""

from __future__ import annotations

from typing import Annotated

import typer

from sanderling.cli import options, printing


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A weights file or a run folder.")],
    *,
    target: Annotated[str, typer.Option(metavar="onnx", help="The engine to write for.")] = "onnx",
    output: options.Output = None,
    imgsz: options.ImageSize = None,
    layout: Annotated[str, typer.Option(metavar="native|yolo|nms", help="Form of the outputs.")] = "native",
    resize: options.Resize = None,
    dynamic: Annotated[bool, typer.Option("--dynamic", help="Let the batch vary.")] = False,
    input_dtype: Annotated[str, typer.Option(metavar="float32|uint8", help="Type of the pixels.")] = "float32",
    pictures: Annotated[
        str | None, typer.Option(metavar="PATH", help="What to compare on; else eight rendered scenes.")
    ] = None,
    threads: options.Threads = None,
    json: options.Json = None,
) -> None:
    """Write a model as an artefact that runs without torch.

    Model and artefact are compared on pictures; where they do not agree the
    export fails and leaves nothing.

    Examples:
        sanderling export runs/train/nanodet-m -o artefacts
        sanderling export nanodet-m.safetensors --imgsz 320 416 --pictures birds/
        sanderling export nanodet-m.safetensors --layout yolo   for other runners

    Writes NAME.onnx and its sidecar NAME.onnx.json into a folder,
    runs/export/NAME without -o.

    Exit codes: 0 written and proven equal, 2 wrong use, 3 no picture to compare
    on, 4 model, 5 not written or not equal, 7 the extra [train] is not
    installed.
    """
    from sanderling.commands.export import export as write
    from sanderling.config import plain

    outcome = write(
        model,
        target=target,
        output=output,
        imgsz=imgsz,
        layout=layout,
        resize=resize,
        dynamic=dynamic,
        input_dtype=input_dtype,
        pictures=pictures,
        threads=threads,
    )
    if printing.for_people(plain(outcome), json):
        from sanderling.reporting import tables

        printing.show(
            tables.facts_table(
                "Artefact against model",
                {
                    "file": str(outcome.path),
                    "size": f"{outcome.megabytes:.2f} MB",
                    "pictures": outcome.parity.pictures,
                    "largest difference of boxes": f"{outcome.parity.max_box_difference_px:.2g} px",
                    "largest difference of scores": f"{outcome.parity.max_score_difference:.2g}",
                    "detections": f"{outcome.parity.detections}, the same ones",
                },
            )
        )
