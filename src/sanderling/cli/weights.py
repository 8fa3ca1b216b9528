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
        sanderling weights import nd.param --model nanodet-m -o nd.safetensors
    """


def import_(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The file; its suffix says the format.")],
    *,
    model: Annotated[str, typer.Option(metavar="NAME", help="The model of the zoo that it belongs to.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The .safetensors file to write.")],
    classes: Annotated[
        list[str] | None, typer.Option(metavar="NAME,...", help="Names of its classes; else COCO's 80.")
    ] = None,
    json: options.Json = None,
) -> None:
    """Read published weights into a weights file of ours.

    Only arrays are read; nothing in the file is executed. Formats, by suffix:
        .pth .ckpt .pt      NanoDet's checkpoints
        .param .bin         NanoDet's ncnn pair, named by either file
        .weights            darknet's; a .cfg beside it is checked as well
        .pdparams           PaddleDetection's YOLOv3 and PP-YOLO with a ResNet
                            or MobileNetV1
        .safetensors        ours, or another with our names

    ImageNet classifiers of torchvision and timm (.pth, .safetensors) start a
    backbone: sanderling train MODEL --weights FILE.

    Examples:
        sanderling weights import nd.ckpt --model nanodet-m -o nd.safetensors
        sanderling weights import p.param --model nanodet-plus-m -o p.safetensors
        sanderling weights import y.weights --model yolov4-tiny -o y.safetensors

    Writes the file that -o names: the weights with their configuration inside.

    Exit codes: 0 written, 2 wrong use, 4 the file does not belong to the model,
    7 the extra [train] is not installed.
    """
    from sanderling.commands.weights import import_weights

    outcome = import_weights(source, model=model, output=output, class_names=options.separate(classes))
    if printing.for_people(outcome.to_plain(), json):
        printing.say(f"{outcome.tensors} tensors of {outcome.source} are in {outcome.output}")
        if outcome.folded_batchnorm:
            printing.say(
                "BatchNorm is folded in: training from this file keeps it the identity, or measures it anew with"
            )
            printing.say("--set task.folded_batchnorm=recalibrate")
