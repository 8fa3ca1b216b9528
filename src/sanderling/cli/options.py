"""The options that several verbs share, each under the one name that people know."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def size(text: str) -> tuple[int, ...]:
    """Read `320`, `320x416` or `320,416`: one side, or height and width, in pixels.

    >>> size("320x416")
    (320, 416)
    """
    sides = text.lower().replace(",", "x").split("x")
    if len(sides) > 2 or not all(side.strip().isdecimal() for side in sides):
        raise typer.BadParameter(f"{text!r} is not a size; write 320, or height and width: 320 416")
    return tuple(int(side) for side in sides)


def separate(words: list[str] | None) -> list[str] | None:
    """Take comma lists apart; None where nothing was named.

    >>> separate(["fire,smoke", "3"])
    ['fire', 'smoke', '3']
    """
    return [part.strip() for word in words for part in word.split(",") if part.strip()] if words else None


Model = Annotated[str, typer.Argument(metavar="MODEL", help="A weights file, a run folder or an exported artefact.")]
DataSet = Annotated[
    Path, typer.Argument(metavar="PATH", help="COCO JSON, VOC folder, YOLO data.yaml, or a folder with one.")
]
Data = Annotated[
    Path, typer.Option("--data", metavar="PATH", help="COCO JSON, VOC folder, YOLO data.yaml, or a folder with one.")
]
DataFormat = Annotated[
    str | None, typer.Option(metavar="coco|yolo|voc", help="Which to read where a folder holds several.")
]
Split = Annotated[str | None, typer.Option(metavar="NAME", help="The split of the data set.")]
NewFolder = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The new folder; it must not exist.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where results go.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write into a folder that holds something.")]
Json = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON; - is standard output.")
]
ImageSize = Annotated[
    Any, typer.Option("--imgsz", metavar="H [W]", parser=size, help="Network input, pixels: a side, or two.")
]
Resize = Annotated[
    str | None, typer.Option(metavar="letterbox|stretch", help="How pictures are fitted; else the model's way.")
]
Conf = Annotated[float | None, typer.Option(metavar="SCORE", help="Lowest score.")]
Iou = Annotated[float | None, typer.Option(metavar="SHARE", help="Boxes that overlap more are one.")]
MaxDet = Annotated[int | None, typer.Option(metavar="N", help="Most detections a picture.")]
Device = Annotated[str | None, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1; else the GPU if any.")]
Threads = Annotated[int | None, typer.Option(metavar="N", help="Threads on the processor.")]
FastDecode = Annotated[
    bool, typer.Option("--fast-decode", help="Decode large JPEG files at reduced scale: quicker, other pixels.")
]
