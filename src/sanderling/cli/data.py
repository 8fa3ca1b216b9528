"""`sanderling data`: check, stats, convert, split, anchors, preview."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sanderling.cli import options, printing

if TYPE_CHECKING:
    from sanderling.commands.preview import PreviewResult
    from sanderling.datasets.convert import Conversion
    from sanderling.reporting.tables import Table


def data() -> None:
    """Check, describe, convert, divide data sets; fit anchors, see batches.

    Nothing here ever changes the files that you name; what is written is new.
    A data set is a COCO JSON, a VOC folder, a YOLO data.yaml, or a folder that
    holds one of them; where it holds several, COCO is taken before YOLO before
    VOC, and --data-format chooses.
    """


def check(path: options.DataSet, *, data_format: options.DataFormat = None, json: options.Json = None) -> None:
    """Find every fault of a data set in one pass.

    Errors make training or scores unreliable, warnings deserve a look, infos
    are peculiarities. Each names the file, the value, the rule, the remedy.

    Examples:
        sanderling data check birds/
        sanderling data check birds/data.yaml --json findings.json

    Writes only what --json names.

    Exit codes: 0 no errors, 1 errors were found, 2 wrong use, 3 no data set.
    """
    from sanderling.commands.data import check as find_faults

    result = find_faults(path, data_format=data_format)
    if printing.for_people(result.to_plain(), json):
        from sanderling.reporting import tables

        printing.show(tables.findings_table([finding.to_plain() for finding in result.findings], most=_MOST_FINDINGS))
        printing.show(tables.counted_table(f"{result.data} ({result.data_format})", {**result.counts, **result.rules}))
    if result.has_errors:
        raise typer.Exit(1)


_MOST_FINDINGS = 100


def stats(
    path: options.DataSet,
    *,
    split: options.Split = None,
    data_format: options.DataFormat = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="DIR", help="Draw plots there.")] = None,
    json: options.Json = None,
) -> None:
    """Describe a data set: classes, sizes, shapes, objects per picture.

    Examples:
        sanderling data stats birds/
        sanderling data stats birds/ --split val -o plots --json stats.json

    Writes plots into the folder that -o names, and what --json names.

    Exit codes: 0 measured, 2 wrong use, 3 data, 7 plots need matplotlib.
    """
    from sanderling.commands.data import stats as describe

    result = describe(path, data_format=data_format, split=split, output=output)
    plain = result.to_plain()
    if printing.for_people(plain, json):
        from sanderling.reporting import tables

        for measured in plain["splits"]:
            printing.show(tables.split_table(measured), tables.split_classes_table(measured))
        for plot in result.plots:
            printing.say(plot)


def convert(
    path: options.DataSet,
    *,
    to: Annotated[str, typer.Option(metavar="coco|yolo|voc", help="The format to write.")],
    output: options.NewFolder,
    data_format: options.DataFormat = None,
    json: options.Json = None,
) -> None:
    """Write a data set in another format without losing a box.

    Examples:
        sanderling data convert birds/ --to yolo -o birds-yolo

    Writes the new folder; pictures are linked where the file system can, else
    copied.

    Exit codes: 0 written, 2 wrong use, 3 data.
    """
    from sanderling.commands.data import convert as write

    result = write(path, to=to, output=output, data_format=data_format)
    if printing.for_people(result.to_plain(), json):
        _show_written(result)


def split(
    path: options.DataSet,
    *,
    output: options.NewFolder,
    fractions: Annotated[
        str, typer.Option(metavar="NAME=SHARE,...", help="The splits and their shares.")
    ] = "train=0.8,val=0.2",
    group_by: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="folder, or what to find in file names.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same splits.")] = 0,
    data_format: options.DataFormat = None,
    json: options.Json = None,
) -> None:
    """Divide a data set anew, every class spread evenly.

    Copies of a picture stay in one split, and so do the pictures of a group:
    of a folder, or with the same text where the pattern matches their name.

    Examples:
        sanderling data split birds/ -o birds-split
        sanderling data split birds/ -o birds-split --group-by "cam[0-9]+"
        sanderling data split birds/ -o new --fractions train=0.7,val=0.2,test=0.1

    Writes a COCO data set in the new folder; pictures are linked where the file
    system can, else copied.

    Exit codes: 0 written, 2 wrong use, 3 data.
    """
    from sanderling.commands.data import split as divide

    result = divide(path, output=output, fractions=fractions, seed=seed, group_by=group_by, data_format=data_format)
    if printing.for_people(result.to_plain(), json):
        _show_written(result.written)


def anchors(
    path: options.DataSet,
    *,
    imgsz: options.ImageSize = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Compare with its anchors: a name, run or weights file.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(metavar="N", help="How many; else as many as the model has, or 9.")
    ] = None,
    resize: options.Resize = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="The split whose boxes count.")] = "train",
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same anchors.")] = 0,
    data_format: options.DataFormat = None,
    json: options.Json = None,
) -> None:
    """Fit anchors to a data set by k-means on IoU, at a stated input size.

    Reports the mean best IoU of the boxes with them and, with --model, with the
    model's own, and deals them to its levels, ready for `train --set`.
    Without --imgsz and --resize they are the model's.

    Examples:
        sanderling data anchors birds/ --imgsz 320
        sanderling data anchors birds/ --imgsz 320 --model yolov3-tiny --json -
        sanderling data anchors birds/ --model runs/train/yolov3-tiny

    Writes only what --json names.

    Exit codes: 0 fitted, 2 wrong use, 3 data, 4 --model cannot be read,
    7 --model needs torch.
    """
    from sanderling.commands.anchors import anchors as fit

    result = fit(
        path,
        imgsz=imgsz,
        model=model,
        count=count,
        resize=resize,
        split=split,
        seed=seed,
        data_format=data_format,
    )
    plain = result.to_plain()
    if printing.for_people(plain, json):
        from sanderling.reporting import tables

        printing.show(tables.anchors_table(plain), tables.anchors_fit_table(plain))
        if result.setting is not None:
            printing.say(f"--set '{result.setting}'")


def preview(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A model, MODEL-published, run.yaml or run folder.")],
    *,
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="COCO JSON, VOC folder, YOLO data.yaml, or a folder with one.")
    ] = None,
    data_format: options.DataFormat = None,
    split: options.Split = None,
    epoch: Annotated[int, typer.Option(metavar="N", help="Of the run; some variations begin or end.")] = 1,
    batches: Annotated[int, typer.Option(metavar="N", help="The first N of the epoch.")] = 1,
    imgsz: options.ImageSize = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of order and variations; else the run's.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Anything that run.yaml holds; repeatable.")
    ] = None,
    columns: Annotated[int | None, typer.Option(metavar="N", help="Pictures side by side.")] = None,
    output: options.Output = None,
    overwrite: options.Overwrite = False,
    json: options.Json = None,
) -> None:
    """Draw batches as a training would see them, with their boxes.

    Order, sizes, mosaics, colours: all as in that epoch of `train` by one
    process. A box whose loss counts in part has its share behind the class.
    docs/augmentation.md shows every variation.

    Examples:
        sanderling data preview nanodet-m --data birds/
        sanderling data preview nanodet-m --data birds/ --set augment.mosaic=1
        sanderling data preview runs/train/nanodet-m --epoch 90 --batches 3

    Writes batch1.png and so on into a folder, runs/preview/NAME without -o.

    Exit codes: 0 drawn, 2 wrong use, 3 data, 7 the extra [train] is not
    installed.
    """
    from sanderling.commands.preview import preview as draw_sheets

    result = draw_sheets(
        run,
        data=data,
        data_format=data_format,
        split=split,
        epoch=epoch,
        batches=batches,
        imgsz=imgsz,
        seed=seed,
        assignments=assignments or (),
        columns=columns,
        output=output,
        overwrite=overwrite,
    )
    if printing.for_people(result.to_plain(), json):
        printing.show(_previewed(result))


def _show_written(written: Conversion) -> None:
    from sanderling.datasets.finding import summary

    printing.show(_written(written))
    for what, count in written.not_kept.items():
        printing.say(f"{written.data_format} has no place for {what} ({count})")
    if written.skipped:
        printing.say(summary(written.skipped))


def _written(written: Conversion) -> Table:
    from sanderling.reporting.tables import Column, Table

    return Table(
        title=f"{written.output} ({written.data_format})",
        columns=(Column(name="split"), Column(name="pictures", kind="whole"), Column(name="boxes", kind="whole")),
        rows=tuple((name, count, written.boxes[name]) for name, count in written.pictures.items()),
    )


def _previewed(result: PreviewResult) -> Table:
    from sanderling.reporting.tables import Column, Table

    counts = ("pictures", "boxes", "without boxes", "of several", "weighed")
    return Table(
        title=f"{result.recipe} on {result.data}, {result.split}, epoch {result.epoch} of {result.epochs}",
        columns=(Column(name="sheet"), Column(name="input"), *(Column(name=name, kind="whole") for name in counts)),
        rows=tuple(
            (
                batch.sheet,
                " x ".join(map(str, batch.size_hw)),
                *(batch.pictures, batch.boxes, batch.without_boxes, batch.of_several, batch.weighed),
            )
            for batch in result.batches
        ),
        note="of several: mosaics and mixtures; weighed: boxes whose loss counts in part",
    )
