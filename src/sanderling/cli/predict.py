"""`sanderling predict`."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Annotated

import typer

from sanderling.cli import options, printing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanderling.structures.detections import Detections


def predict(
    model: options.Model,
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Pictures, folders, globs, lists, videos, cameras.")
    ],
    *,
    output: options.Output = None,
    imgsz: options.ImageSize = None,
    resize: options.Resize = None,
    conf: Annotated[float, typer.Option(metavar="SCORE", help="Lowest score.")] = 0.25,
    iou: options.Iou = None,
    max_det: options.MaxDet = None,
    classes: Annotated[list[str] | None, typer.Option(metavar="NAME,...", help="Only these; or numbers.")] = None,
    device: options.Device = None,
    threads: options.Threads = None,
    fast_decode: options.FastDecode = False,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any other of the model's rules; repeatable."),
    ] = None,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Write the folder of results, or do not.")] = True,
    json: options.Json = None,
) -> None:
    """Detect in pictures, folders, videos and cameras.

    A SOURCE may be a picture, a folder, a glob in quotes, a .txt list, a video,
    a camera's number or an rtsp:// address. What cannot be read is reported and
    counted, and the rest goes on.

    Examples:
        sanderling predict nanodet-m.onnx pictures/ -o found
        sanderling predict runs/train/nanodet-m line.mp4 --classes fire,smoke
        sanderling predict nanodet-m.onnx "shots/*.jpg" --no-save --json -
        sanderling predict m.onnx a.jpg --set postprocess.suppression.kind=soft

    Writes a folder, runs/predict/NAME without -o: pictures and videos with
    boxes drawn, predictions.json, predictions.csv.

    Exit codes: 0 done, 2 wrong use, 3 nothing could be read, 4 model or
    artefact, 7 an engine is not installed.
    """
    from sanderling.commands.predict import predict as detect

    unreadable: list[dict[str, str]] = []
    found = detect(
        model,
        sources,
        output=output,
        save=save,
        imgsz=imgsz,
        resize=resize,
        conf=conf,
        iou=iou,
        max_det=max_det,
        classes=options.separate(classes),
        device=device,
        threads=threads,
        fast_decode=fast_decode,
        assignments=assignments or (),
        on_unreadable=lambda item: unreadable.append({"source": item.source, "reason": str(item.error)}),
    )
    if json is None:
        for _ in found:
            pass
    else:
        _write(found, unreadable, model=model, destination=json)


def _write(found: Iterator[Detections], unreadable: list[dict[str, str]], *, model: str, destination: str) -> None:
    """Write an entry per picture as it comes, so that a camera may run for days, then what could not be read.

    Ctrl-C is how one leaves a camera: what was found until then is kept, as whole JSON.
    """
    head, between = f'{{"model": {dumps(model)}, "pictures": [\n ', ",\n "
    stopped: KeyboardInterrupt | None = None
    with printing.opened(destination) as file:
        begun = False
        try:
            for detections in found:
                file.write((between if begun else head) + detections.to_json())
                begun = True
        except KeyboardInterrupt as interrupt:
            stopped = interrupt
        file.write(("" if begun else head) + f'\n], "unreadable": {dumps(unreadable)}}}\n')
    if stopped is not None:
        raise stopped
