"""`sanderling val`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sanderling.cli import options, printing


def val(
    model: options.Model,
    *,
    data: options.Data,
    split: options.Split = None,
    data_format: options.DataFormat = None,
    imgsz: options.ImageSize = None,
    resize: options.Resize = None,
    conf: options.Conf = None,
    iou: options.Iou = None,
    max_det: options.MaxDet = None,
    threshold: Annotated[
        float | None, typer.Option(metavar="SCORE", help="Count false alarms and misses at this score,")
    ] = None,
    false_alarm_rate: Annotated[
        float, typer.Option(metavar="N", help="or where a class gives so many false alarms a picture.")
    ] = 0.1,
    device: options.Device = None,
    threads: options.Threads = None,
    fast_decode: options.FastDecode = False,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any other of the model's rules; repeatable."),
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the detections as COCO results.")
    ] = None,
    json: options.Json = None,
) -> None:
    """Measure a model on labelled pictures.

    AP by COCO and VOC, false alarms a picture, misses, and the threshold per
    class. The model's own --conf, --iou and --max-det are for measuring; leave
    them alone for figures that compare. Without --split it takes val.

    Examples:
        sanderling val runs/train/nanodet-m --data birds/
        sanderling val nanodet-m.onnx --data birds/ --split test --json -
        sanderling val nanodet-m.onnx --data birds/ --threshold 0.4
        sanderling val m.onnx --data b/ --set postprocess.suppression.kind=soft

    Writes only what --json and --predictions name.

    Exit codes: 0 measured, 2 wrong use, 3 data, 4 model or artefact, 7 an
    engine is not installed.
    """
    from sanderling.commands.val import val as measure

    report = measure(
        model,
        data=data,
        split=split,
        data_format=data_format,
        imgsz=imgsz,
        resize=resize,
        conf=conf,
        iou=iou,
        max_det=max_det,
        threshold=threshold,
        false_alarm_rate=false_alarm_rate,
        device=device,
        threads=threads,
        fast_decode=fast_decode,
        assignments=assignments or (),
        predictions=predictions,
    )
    if printing.for_people(report.to_plain(), json):
        from sanderling.reporting import tables

        printing.show(tables.metrics_table(report), tables.class_table(report), tables.counts_table(report))
